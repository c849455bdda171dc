import { readdirSync } from "node:fs";
import { join } from "node:path";
import { leftOver, startDemo } from "./demo";

const story = [process.execPath, "--import", "tsx", join("tools", "demo.ts")];

const folders = () => readdirSync(process.env["DRAWBRIDGE_LAB"] ?? "").filter((name) => name.startsWith("demo"));

test("the demo tells its story to the end", async () => {
  const demo = startDemo(story);
  expect(`${await demo.code} ${demo.text()}`).toMatch(/^0 /);
  const text = demo.text();
  expect(text).toMatch(/deny rfc1918 *: "10\.0\.0\.0\/8, .*; inet, netdev: in ….to.ipv4; in ….from.ipv4"/);
  expect(text).toMatch(/refresh --yes[^]*\+ inet 20 deny to 10\.0\.0\.0\/8 *: "missing"/);
  expect(text).toMatch(/management\.sources: this SSH connection comes from 198\.18\.\d+\.\d+, and would be cut off; add "198\./);
  expect(text).toContain("the host rolled it back");
  expect(text).toMatch(/port 8443: open\n.*\n +port 7777: no answer/);
  expect(text).toContain("The host is as it was.");
  expect(text).toContain("npm install pulumi-drawbridge @pulumi/pulumi");
  expect(leftOver()).toEqual([]);
  expect(folders()).toEqual([]);
});

test("Ctrl-C in the middle of an up ends the demo and all that it has started", async () => {
  const demo = startDemo([process.execPath, join("tools", "in-lab.mjs"), ...story]);
  await demo.saying("$ pulumi up");
  await new Promise((next) => setTimeout(next, 1500));
  demo.interrupt();
  expect(`${await demo.code} ${demo.text()}`).toMatch(/^130 /);
  expect(leftOver()).toEqual([]);
  expect(folders()).toEqual([]);
});
