import fc from "fast-check";
import { live, lives } from "./life";

// `npm run soak` lives other lives for as long as it is told; the seed that it prints makes it live the same again.
const minutes = Number(process.env["DRAWBRIDGE_SOAK_MINUTES"] ?? 0);
const seed = Number(process.env["DRAWBRIDGE_SEED"] ?? (minutes > 0 ? Date.now() % 1_000_000 : 1));
/** Which of the lives of a seed; a failure names it. */
const path = process.env["DRAWBRIDGE_PATH"];
const say = (text: string) => process.stderr.write(`${text.slice(0, 160)}\n`);

test(
  "a host lives through random changes, accidents, reboots and other people, and keeps every promise",
  async () => {
    say(`seed ${seed}`);
    await fc.assert(
      fc.asyncProperty(lives, (events) => live(events, say)),
      {
        seed,
        ...(path === undefined ? {} : { path }),
        // To live a life again costs a minute: the first that fails is told as it is.
        endOnFailure: true,
        ...(minutes > 0 ? { numRuns: 1_000_000, interruptAfterTimeLimit: minutes * 60_000 } : { numRuns: 2 }),
      },
    );
  },
  (minutes + 15) * 60_000,
);
