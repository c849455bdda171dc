import { type ErrorCode, HostError } from "../core/errors";

const NOT_ASKED: readonly ErrorCode[] = ["unreachable", "host-key", "authentication", "sudo", "not-root"];

/** The host could not be asked, for whatever reason: nobody knows what stands there. */
export function isOutOfReach(error: unknown): error is HostError {
  return error instanceof HostError && NOT_ASKED.includes(error.failure.code);
}

/**
 * The host does not answer at all, which is all that a user may take for "gone". A host that refuses a key, shows another one or
 * refuses sudo is there, and so is what stands on it.
 */
export function isSilent(error: unknown): error is HostError {
  return error instanceof HostError && error.failure.isSilent === true;
}

/** Whether the user has said that a read may leave out hosts that do not answer; who forgets what stood there need not read it. */
export const mayLeaveUnread = () => isSet("DRAWBRIDGE_SKIP_UNREACHABLE") || isSet("DRAWBRIDGE_DELETE_UNREACHABLE");
export const mayForget = () => isSet("DRAWBRIDGE_DELETE_UNREACHABLE");

const isSet = (name: string) => process.env[name] === "1";

/** A read that failed, with the ways to go on; those stand once per host of a run, however many resources it has. */
export function unread(error: HostError): HostError {
  const always = "--refresh=false contacts no host, --exclude URN leaves one resource out.";
  return isSilent(error)
    ? withWayOut(
        error,
        `To go on without this host: DRAWBRIDGE_SKIP_UNREACHABLE=1 keeps the old state of hosts that do not answer, DRAWBRIDGE_DELETE_UNREACHABLE=1 pulumi destroy forgets what stood on them, ${always}`,
      )
    : withWayOut(error, `${otherCredentials(error)}To go on without reading it: ${always}`);
}

// A read knows the state's credentials only.
const otherCredentials = ({ failure: { code } }: HostError) =>
  code === "authentication"
    ? "If the program has other credentials by now: `pulumi up --refresh=false` once goes on with them. "
    : "";

/** A delete that failed, likewise. */
export function undeleted(error: HostError): HostError {
  return isSilent(error)
    ? withWayOut(
        error,
        "If the host is gone for good: DRAWBRIDGE_DELETE_UNREACHABLE=1 forgets what stood on hosts that do not answer; `deletedWith: vm` or `retainOnDelete: true` in the program say so beforehand.",
      )
    : withWayOut(
        error,
        "The host is there, so nothing is forgotten. `pulumi state delete URN` forgets a resource and leaves on the host what stands there.",
      );
}

/** What stands on the old host of a resource that has moved stays in the state, and the next up tries again. */
export function notLifted(error: HostError): HostError {
  return withWayOut(
    error,
    "It stands on the new host. The next `pulumi up` tries again to delete it on the old one, which is there; `pulumi state delete URN` before that `up` leaves on the old one what stands there.",
  );
}

const said = new Set<string>();

function withWayOut({ failure }: HostError, text: string): HostError {
  const key = `${failure.host} ${text}`;
  if (said.has(key)) return new HostError(failure);
  said.add(key);
  return new HostError({ ...failure, wayOut: failure.wayOut === undefined ? text : `${failure.wayOut}\n${text}` });
}
