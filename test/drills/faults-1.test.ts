import { drill } from "./matrix";

drill(0, 4);
