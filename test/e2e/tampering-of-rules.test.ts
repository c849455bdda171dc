import { ofRules } from "../contract/samples";
import { tamperingsAreNamed } from "./tampering";

tamperingsAreNamed(ofRules);
