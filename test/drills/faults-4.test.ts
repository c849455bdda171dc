import { drill } from "./matrix";

drill(3, 4);
