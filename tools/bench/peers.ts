import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../test/e2e/stack";

/** Resources of the same inputs as a LeakFence, each with a constant __provider that asks a package, as ours. */
const classOf = (peer: string) => `const pulumi = require("@pulumi/pulumi");
exports.Fence = class extends pulumi.CustomResource {
  constructor(name, { connection, ...own }) {
    super("pulumi-nodejs:dynamic/bench:Fence", name, {
      ...own,
      connection: pulumi.secret(connection),
      __origin: { project: pulumi.getProject(), stack: pulumi.getStack(), name },
      __provider: 'exports.handler=()=>require("${peer}/provider").provider',
    }, { additionalSecretOutputs: ["connection"] });
  }
};
`;

const NOTHING = `let number = 0;
exports.provider = {
  check: (_olds, news) => Promise.resolve({ inputs: news }),
  diff: () => Promise.resolve({}),
  create: (inputs) => Promise.resolve({ id: String(++number), outs: inputs }),
  read: (id, props) => Promise.resolve({ id, props }),
  update: (_id, _olds, news) => Promise.resolve({ outs: news }),
  delete: () => Promise.resolve(),
};
`;

// As a user's own script by remote.Command of @pulumi/command: one connection and one command for each resource, nothing is tried or
// confirmed. A connection that sshd refuses is tried ten times with the same pauses as there.
const NAIVE = `const { readFileSync } = require("node:fs");
const { setTimeout: pause } = require("node:timers/promises");
const { Client } = require("ssh2");

const dial = ({ connection: { host, user }, privateKeyPath }) => new Promise((resolve, reject) => {
  const client = new Client();
  client.on("ready", () => resolve(client)).on("error", reject);
  client.connect({ host, username: user, privateKey: readFileSync(privateKeyPath), readyTimeout: 15000 });
});

async function dialed(inputs) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await dial(inputs);
    } catch (error) {
      if (attempt === 10) throw error;
      await pause(Math.min(100 * 1.5 ** (attempt - 1), 5000));
    }
  }
}

async function run(inputs, command, stdin) {
  const client = await dialed(inputs);
  try {
    await new Promise((resolve, reject) => client.exec(command, (error, stream) => {
      if (error) return reject(error);
      let said = "";
      stream.stderr.on("data", (chunk) => (said += chunk));
      stream.on("close", (code) => (code === 0 ? resolve() : reject(new Error(command + " ended with " + code + ": " + said))));
      stream.resume().end(stdin);
    }));
  } finally {
    client.end();
  }
}

const PRESETS = { rfc1918: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], ula: ["fc00::/7"] };

function tableOf({ uplink, networks, __origin: { name } }) {
  const drops = networks
    .flatMap((network) => PRESETS[network] ?? [network])
    .map((network) => (network.includes(":") ? "ip6" : "ip") + " daddr " + network + " counter drop\\n");
  const chain = (hook) =>
    "chain " + hook + " { type filter hook " + hook + " priority filter; oifname " + uplink + " jump leak; }\\n";
  return "table inet " + name + " {\\nchain leak {\\n" + drops.join("") + "}\\n" + chain("forward") + chain("output") + "}\\n";
}

exports.provider = {
  check: (_olds, news) => Promise.resolve({ inputs: news }),
  diff: () => Promise.resolve({}),
  create: async (inputs) => {
    await run(inputs, "sudo -n nft -f -", tableOf(inputs));
    return { id: inputs.__origin.name, outs: inputs };
  },
  read: (id, props) => Promise.resolve({ id, props }),
  update: (_id, _olds, news) => Promise.resolve({ outs: news }),
  delete: (id, props) => run(props, "sudo -n nft delete table inet " + id, ""),
};
`;

/** Puts the providers that ours is compared with where a program in the folder finds them. */
export function installPeers(folder: string): void {
  const modules = join(folder, "node_modules");
  for (const [name, provider] of Object.entries({ nothing: NOTHING, naive: NAIVE })) {
    mkdirSync(join(modules, name), { recursive: true });
    writeFileSync(join(modules, name, "index.js"), classOf(name));
    writeFileSync(join(modules, name, "provider.js"), provider);
  }
  for (const name of ["@pulumi", "ssh2"]) symlinkSync(join(repository, "node_modules", name), join(modules, name));
}
