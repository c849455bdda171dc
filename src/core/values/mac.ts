import { z } from "zod";

/** The link-layer address of one device. */
export const macAddress = z
  .string()
  .regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, 'must be a MAC address like "02:00:5e:00:53:01"')
  .refine((mac) => parseInt(mac.slice(0, 2), 16) % 2 === 0, "is a multicast address; the second digit must be even")
  .refine((mac) => !/^[0:]+$/.test(mac), "must not be all zeros");
