import { lawsHold } from "./laws";
import { ofRules } from "./samples";

lawsHold(ofRules);
