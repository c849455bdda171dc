import type { Drift } from "../files/drift";
import { renderSetting, type Setting, type SettingsOf } from "../files/settings";
import type { HostFacts } from "../files/snapshot";
import { LINK_ATTRIBUTES, type LinkAttribute } from "./attributes";

/** One attribute that a resource holds on a device. */
export interface LinkSetting extends Setting {
  readonly kind: "link";
  readonly attribute: LinkAttribute;
}

/** What stands otherwise than held. What is missing takes its entry away; what is still to come (a tap, a NIC) is no drift. */
function compareLinks(settings: readonly LinkSetting[], { live, links }: HostFacts): Drift {
  const made = new Set(settings.flatMap(({ subject, attribute }) => (attribute === "is" ? [subject] : [])));
  const isThere = (device: string) => links.has(device);
  // A device that somebody else makes is waited for, and so is the bridge that it shall be a port of.
  const missing = settings.flatMap(({ subject, attribute, value }) =>
    attribute === "master" && !made.has(value) && !isThere(value) ? [subject] : [],
  );
  const isAwaited = (device: string) => !made.has(device) && (!isThere(device) || missing.includes(device));
  return new Map(
    settings.flatMap((setting): [string, string | undefined][] => {
      const found = live.get(`${setting.subject} ${setting.attribute}`) ?? "-";
      if (found === setting.value || isAwaited(setting.subject)) return [];
      if (found === "-" && isThere(setting.subject) && isMoot(setting)) return [];
      return [[setting.id, found === "-" ? undefined : renderSetting({ ...setting, value: found })]];
    }),
  );
}

/** A host without IPv6, or a kernel without VLANs, has nothing to switch off. */
const isMoot = ({ attribute, value }: LinkSetting) =>
  (attribute === "disable_ipv6" && value === "1") || (attribute === "vlan_filtering" && value === "0");

export const settingsOfLinks: SettingsOf<LinkSetting> = {
  domain: "links",
  compare: compareLinks,
  explain: (settings) => Object.fromEntries(settings.map(({ id, attribute }) => [id, LINK_ATTRIBUTES[attribute].goodFor])),
};
