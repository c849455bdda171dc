import * as pulumi from "@pulumi/pulumi";
import { AddressSet, Allow, DefaultDrop, Deny, type HostArgs } from "pulumi-drawbridge";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

const outside = config.get("outside") ?? "extif";
const inside = config.get("inside") ?? "wirif";
const clients = config.get("clients") ?? "10.0.1.0/24";
const address = config.require("address");
const management = { sources: config.requireObject<string[]>("administrators") };

// Key exchange goes from a port to the same port.
const keyExchange = [500, 4500].map((port) => ({ protocol: "udp" as const, ports: [port], sourcePorts: [port] }));

new DefaultDrop("input", {
  ...host,
  hook: "input",
  management,
  allow: [
    { service: "dns", from: [clients], in: inside, description: "names for clients" },
    { service: "dhcp-server", in: inside, description: "leases for clients" },
    ...keyExchange.map((ports) => ({ ...ports, in: outside, to: [address], description: "key exchange" })),
  ],
});

new DefaultDrop("output", {
  ...host,
  hook: "output",
  management,
  allow: keyExchange.map((ports) => ({ ...ports, out: outside, from: [address], description: "key exchange" })),
});

// An Allow may stand anywhere in the program, beside what it is for. On this one the default drop depends, so that it comes first and leaves last.
const surfing = new Allow("clients-reach-the-world", {
  ...host,
  hook: "forward",
  from: [clients],
  in: inside,
  out: outside,
});
new DefaultDrop("forward", { ...host, hook: "forward" }, { dependsOn: surfing });

// Whom nobody here talks to. The list may be long: the state keeps how many they are, not who.
const blocked = new AddressSet("blocked", { ...host, name: "blocked", file: "blocked.txt" });
new Deny("blocked-clients-way", { ...host, hook: "forward", to: blocked, out: outside });
new Deny("blocked-at-the-door", { ...host, hook: "input", from: blocked, in: outside });
