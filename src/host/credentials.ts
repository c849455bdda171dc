import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { ConnectConfig } from "ssh2";
import type { Connection } from "../core/values/connection";
import { homeFolder, projectFolder } from "./project";
import type { Target } from "./target";

/** Credentials could not be read where Pulumi runs. */
export class Unreadable extends Error {}

/** Credentials of the machine that runs Pulumi, which no program names. */
export type OwnCredentials = Pick<Target, "privateKeyPath" | "privateKeyEnv" | "passwordEnv"> & {
  /** For messages: "~/.ssh/id_ed25519". */
  readonly what: string;
};

/** Where ssh-keygen puts a key, less the kinds that ssh2 does not know. */
const USUAL_KEYS = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/** What is handed to ssh2 for a hop. @throws Unreadable */
export function credentialsOf(
  hop: Omit<Connection, "proxy">,
  target: Target,
): Pick<ConnectConfig, "privateKey" | "passphrase" | "password" | "agent"> {
  const privateKey = hop.privateKey ?? fromEnvironment(target.privateKeyEnv) ?? fromFile(target.privateKeyPath);
  const password = hop.password ?? fromEnvironment(target.passwordEnv);
  const agent = agentOf(hop);
  return {
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(hop.privateKeyPassword === undefined ? {} : { passphrase: hop.privateKeyPassword }),
    ...(password === undefined ? {} : { password }),
    ...(agent === undefined ? {} : { agent }),
  };
}

/** Whether the program names credentials, be it only an agent's socket. */
export function namesCredentials({ connection, privateKeyPath, privateKeyEnv, passwordEnv }: Target): boolean {
  const { privateKey, password, agentSocketPath } = connection;
  return [privateKey, password, agentSocketPath, privateKeyPath, privateKeyEnv, passwordEnv].some((each) => each !== undefined);
}

/**
 * What this machine has beside what a program names: the agent where that is news, DRAWBRIDGE_PRIVATE_KEY_ENV, DRAWBRIDGE_PRIVATE_KEY_PATH
 * and DRAWBRIDGE_PASSWORD_ENV, which mean what the arguments of those names mean, and OpenSSH's usual key files that are there.
 */
export function ownCredentials(agentIsNews: boolean): OwnCredentials[] {
  const [privateKeyEnv, privateKeyPath, passwordEnv] = ["PRIVATE_KEY_ENV", "PRIVATE_KEY_PATH", "PASSWORD_ENV"].map(
    (name) => process.env[`DRAWBRIDGE_${name}`] || undefined,
  );
  return [
    ...(agentIsNews && agentOf({}) !== undefined ? [{ what: "the SSH agent" }] : []),
    ...(privateKeyEnv === undefined ? [] : [{ what: `the key in ${privateKeyEnv}`, privateKeyEnv }]),
    ...(privateKeyPath === undefined ? [] : [{ what: privateKeyPath, privateKeyPath }]),
    ...(passwordEnv === undefined ? [] : [{ what: `the password in ${passwordEnv}`, passwordEnv }]),
    ...USUAL_KEYS.filter((path) => existsSync(expanded(path))).map((path) => ({ what: path, privateKeyPath: path })),
  ];
}

/** The same host by other credentials; those of a jump host stay, where it has its own. */
export function withOwn(target: Target, { privateKeyPath, privateKeyEnv, passwordEnv }: OwnCredentials): Target {
  const none = { privateKey: undefined, password: undefined, privateKeyPassword: undefined, agentSocketPath: undefined };
  const connection = { ...target.connection, ...none };
  return { ...target, connection, privateKeyPath, privateKeyEnv, passwordEnv };
}

/** For messages: what a target offers to a hop. */
export function offeredBy(hop: Omit<Connection, "proxy">, target: Target): string[] {
  return [
    ...(hop.privateKey === undefined ? [] : ["connection.privateKey"]),
    ...(target.privateKeyEnv === undefined ? [] : [`the key in ${target.privateKeyEnv}`]),
    ...(target.privateKeyPath === undefined ? [] : [`the key file ${target.privateKeyPath}`]),
    ...(hop.password === undefined && target.passwordEnv === undefined ? [] : ["a password"]),
    ...(agentOf(hop) === undefined ? [] : ["the SSH agent"]),
  ];
}

/** The socket of the SSH agent. */
export function agentOf({ agentSocketPath }: Pick<Connection, "agentSocketPath">): string | undefined {
  return (agentSocketPath ?? process.env["SSH_AUTH_SOCK"]) || undefined;
}

function fromEnvironment(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const value = process.env[name];
  if (value === undefined || value === "") throw new Unreadable(`the environment variable ${name} is not set where pulumi runs`);
  return value;
}

// Kept in the state as it was written, so that no colleague's home stands in it.
function fromFile(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(expanded(path), "utf8");
}

function expanded(path: string): string {
  const full = path.startsWith("~/") ? join(homeFolder(), path.slice(2)) : path;
  return isAbsolute(full) ? full : join(projectFolder(), full);
}
