import { z } from "zod";

const SECONDS = { second: 1, minute: 60, hour: 60 * 60, day: 24 * 60 * 60 } as const;

const count = (most: number) =>
  z
    .number({ error: `must be a whole number from 1 to ${most}` })
    .refine((given) => Number.isInteger(given) && given >= 1 && given <= most, {
      error: `must be a whole number from 1 to ${most}`,
    });

/** How many new connections one source may open. */
export const rate = z.strictObject({
  connections: count(1_000_000),
  per: z.enum(["second", "minute", "hour", "day"]),
  // Of more than this, kernels cannot count what a day has.
  burst: count(10_000).default(5),
});
export type Rate = z.infer<typeof rate>;

/** After so many seconds without a connection, a source may open all of its burst again: nothing need be known of it any more. */
export const forgottenAfterSeconds = ({ connections, per, burst }: Rate): number =>
  Math.ceil((burst * SECONDS[per]) / connections);
