#!/usr/bin/env node
import { hostProgram } from "../host/program";

// For hosts where the user has no general sudo: the program is put there by hand, once.
if (process.argv[2] === "program") {
  process.stdout.write(hostProgram().text);
} else {
  process.stdout.write(
    "usage: drawbridge program   print drawbridge-host, the one program that stands on a host (docs/host.md)\n",
  );
}
