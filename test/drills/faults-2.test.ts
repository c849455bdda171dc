import { drill } from "./matrix";

drill(1, 4);
