import type { Prefix } from "../../values/prefix";
import { renderAddress } from "./address";
import type { Direction, MatchSpec, Side } from "./spec";

/**
 * Wrapped by IPsec: an outgoing packet will be, an incoming one was. By a security association of this request id, and (tunnels only)
 * with this beginning and end, where they are given.
 */
export interface WrappedMatch {
  readonly is: "wrapped";
  readonly direction: Direction;
  readonly reqid?: number | undefined;
  readonly from?: Prefix | undefined;
  readonly to?: Prefix | undefined;
}

export const wrapped: MatchSpec<WrappedMatch> = {
  text: ({ direction, reqid, from, to }) => {
    const end = (side: Side, address: Prefix | undefined) =>
      address === undefined ? [] : [`ipsec ${direction} ${renderAddress(side, [address])}`];
    return [
      direction === "out" ? "rt ipsec exists" : "meta ipsec exists",
      ...(reqid === undefined ? [] : [`ipsec ${direction} reqid ${reqid}`]),
      ...end("source", from),
      ...end("destination", to),
    ].join(" ");
  },
  words: ({ direction }) =>
    `what IPsec ${direction === "out" ? "will wrap (it leaves with other addresses and is judged again)" : "has brought"}`,
  // By which association is not known of any packet.
  holds: ({ reqid, from, to }, { wrapped: said }) => (said === true && (reqid ?? from ?? to) !== undefined ? undefined : said),
};
