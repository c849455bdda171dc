import { z } from "zod";

const port = z.number().int().min(1).max(65535);
const target = {
  host: z
    .string()
    .min(1, "must not be empty")
    .regex(/^[A-Za-z0-9_.:%-]+$/, "must be a host name or an IP address"),
  port: port.optional(),
  user: z.string().min(1, "must not be empty").optional(),
  password: z.string().optional(),
  privateKey: z.string().optional(),
  privateKeyPassword: z.string().optional(),
  agentSocketPath: z.string().optional(),
  dialErrorLimit: z.number().int().min(-1).optional(),
  perDialTimeout: z.number().int().min(0).optional(),
  hostKey: z.string().optional(),
};

/** Exactly the keys of `remote.ConnectionArgs` of `@pulumi/command` 1.2. */
export const connection = z.strictObject({ ...target, proxy: z.strictObject(target).optional() });
export type Connection = z.infer<typeof connection>;

/** Whether what is there already and not ours is taken over; a delete then puts it back. */
export const adopt = z.boolean().optional();

/** What every resource takes beside `connection` to reach its host. */
export const access = {
  connection,
  become: z.boolean().optional(),
  privateKeyPath: z.string().min(1, "must not be empty").optional(),
  privateKeyEnv: environmentName().optional(),
  passwordEnv: environmentName().optional(),
  hostKeyPolicy: z.enum(["known-hosts", "accept-new"]).optional(),
  confirmDeadlineSeconds: z.number().int().min(3).max(3600).optional(),
  machine: z.string().optional(),
  adopt,
};
export type Access = z.infer<z.ZodObject<typeof access>>;

function environmentName() {
  return z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable");
}
