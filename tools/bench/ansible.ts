import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { clientKeyPath, type LabHost, startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";
import { Side } from "./side";

const REPEATS = 5;
const NETWORKS = Array.from({ length: 100 }, (_, index) => `10.${2 * index}.0.0/16`);

// What a user would write: one task, one rule for each network. The interpreter is named and no facts are gathered, which saves time.
const PLAYBOOK = `- hosts: all
  gather_facts: false
  become: true
  vars:
    networks: ${JSON.stringify(NETWORKS)}
  tasks:
    - name: private addresses do not leave eth0
      ansible.builtin.iptables:
        chain: FORWARD
        out_interface: eth0
        destination: "{{ item }}"
        jump: DROP
      loop: "{{ networks }}"
`;

/** Ansible beside us: 100 networks that do not leave an interface, for us one resource. */
export const ansible: Measurement = {
  title: "Ansible",
  async measure(say) {
    const python = process.env["DRAWBRIDGE_ANSIBLE_PYTHON"];
    if (python === undefined) throw new Error("DRAWBRIDGE_ANSIBLE_PYTHON is not set; run it by npm run bench");
    const times: { ansible: number[]; ours: number[] } = { ansible: [], ours: [] };
    for (let repeat = 1; repeat <= REPEATS; repeat++) {
      say(`${repeat} of ${REPEATS}, Ansible`);
      times.ansible.push(await onHost((host) => timeOfPlaybook(python, host)));
      say(`${repeat} of ${REPEATS}, ours`);
      times.ours.push(await onHost(timeOfUp));
    }
    say(`Ansible ${Math.round(median(times.ansible))} ms, ours ${Math.round(median(times.ours))} ms`);
    return [figure("100 networks by Ansible ÷ as one resource of ours", median(times.ansible) / median(times.ours), 8, "higher")];
  },
};

async function timeOfUp(host: LabHost): Promise<number> {
  const side = await Side.create("ours", { hosts: [host], count: 1, networks: NETWORKS });
  try {
    return await side.up();
  } finally {
    side.stack.dispose();
  }
}

async function timeOfPlaybook(python: string, host: LabHost): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-ansible-"));
  try {
    writeFileSync(join(folder, "known_hosts"), `${host.address} ${host.hostKey}\n`);
    writeFileSync(join(folder, "playbook.yml"), PLAYBOOK);
    const ssh = `-o UserKnownHostsFile=${join(folder, "known_hosts")}`;
    writeFileSync(
      join(folder, "hosts"),
      `${host.address} ansible_user=deploy ansible_ssh_private_key_file=${clientKeyPath} ` +
        `ansible_ssh_common_args="${ssh}" ansible_python_interpreter=/usr/bin/python3\n`,
    );
    const env = {
      PATH: process.env["PATH"],
      HOME: folder,
      LC_ALL: "C.UTF-8",
      ANSIBLE_HOME: folder,
      ANSIBLE_PIPELINING: "true",
    };
    const args = ["-m", "ansible", "playbook", "-i", join(folder, "hosts"), join(folder, "playbook.yml")];
    const time = await timed(() => promisify(execFile)(python, args, { env, cwd: folder }));
    const { stdout } = await host.run("iptables -S FORWARD | grep -c -- '-o eth0 -j DROP'");
    if (Number(stdout) !== NETWORKS.length) throw new Error(`${stdout.trim()} rules stand, not ${NETWORKS.length}`);
    return time;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onHost<T>(work: (host: LabHost) => Promise<T>): Promise<T> {
  const host = await startHost({ suite: "bookworm-python" });
  try {
    return await work(host);
  } finally {
    await host.down();
  }
}
