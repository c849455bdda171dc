import { ofThings } from "../contract/samples";
import { tamperingsAreNamed } from "./tampering";

tamperingsAreNamed(ofThings);
