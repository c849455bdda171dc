import { drill } from "./matrix";

drill(2, 4);
