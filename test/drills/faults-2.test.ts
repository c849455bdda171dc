import { drill } from "./matrix";

drill(1, 2);
