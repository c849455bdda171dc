/** Any of them may be a host's awk. */
export const AWKS = [["mawk"], ["gawk", "--posix"], ["busybox", "awk"], ["original-awk"]] as const;
