import type { HostFacts, HostSurvey } from "../../src/core/files/snapshot";

/** What a look at a host has found: nothing but this. */
export function surveyOf(facts: Partial<HostFacts>): HostSurvey {
  return {
    facts: {
      links: new Map(),
      services: [],
      sshPort: undefined,
      network: "unknown",
      configured: new Map(),
      configuration: new Map(),
      defaultRoutes: [],
      live: new Map(),
      damaged: [],
      atBoot: new Map(),
      unmet: new Map(),
      shut: [],
      ...facts,
    },
    confirmedPaths: new Set(),
    errors: {},
  };
}
