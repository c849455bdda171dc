import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { closePool } from "../../dist/host/pool";
import { clientKeyPath, ordered, startVm, type Vm, type VmOptions } from "../../tools/lab";
import { execute } from "../../tools/lab/process";
import type { Props } from "../lab/drive";

/** What the fence of these tests must not let out, and what it must. */
export const PRIVATE = "10.9.9.9";
export const PUBLIC = "203.0.113.9";

const vms: Vm[] = [];

afterAll(async () => {
  for (const vm of vms.splice(0)) {
    // A connection whose other end is gone before it has said goodbye would keep jest waiting.
    await vm.run("for i in $(seq 100); do pgrep -u deploy sshd >/dev/null || exit 0; sleep 0.2; done", { allowFailure: true });
    await vm.down();
  }
});

const makeOutside = () =>
  Promise.all([PRIVATE, PUBLIC].map((address) => execute(["ip", "address", "replace", `${address}/32`, "dev", "labsw"])));

/** A machine that ends with the test file; both addresses of the outside world answer it. */
export async function startOwnVm(options?: VmOptions): Promise<Vm> {
  await makeOutside();
  const vm = await startVm(options);
  vms.push(vm);
  const reboot = () => {
    // Nobody would say goodbye to a connection that slept over it, and jest waits for that.
    closePool();
    return vm.reboot();
  };
  return { ...vm, reboot };
}

/** `...host` for a machine; every step takes seconds there. */
export const on = (vm: Vm, own: Props = {}): Props => ({
  connection: { host: vm.address, user: "deploy", hostKey: vm.hostKey, perDialTimeout: 60 },
  become: true,
  privateKeyPath: clientKeyPath,
  confirmDeadlineSeconds: 120,
  ...own,
});

export const fence = { uplink: "eth0", networks: ["rfc1918"] };

/** What a script prints, without the end of its last line. */
export const said = async (vm: Vm, script: string): Promise<string> =>
  ordered((await vm.run(script, { allowFailure: true })).stdout.trimEnd());

/** Whether an address answers; with a positive control beside each "no". */
export const pings = async (vm: Vm, address: string): Promise<boolean> =>
  (await vm.run(`ping -n -c 1 -W 2 ${address} >/dev/null`, { allowFailure: true })).code === 0;

/** Waits until a script succeeds on the machine. */
export const eventually = (vm: Vm, script: string) =>
  vm.run(`for i in $(seq 300); do { ${script}; } >/dev/null 2>&1 && exit 0; sleep 0.2; done; exit 1`);

/** When a unit became active in this boot, in microseconds since it began. */
const activeSince = async (vm: Vm, unit: string): Promise<number> =>
  Number(await said(vm, `systemctl show --value -p ActiveEnterTimestampMonotonic ${unit}`));

/** The rules were there before the network was configured, and systemd has found an order for all units. */
export async function expectLoadedBefore(vm: Vm, network: string): Promise<void> {
  const loaded = await activeSince(vm, "drawbridge.service");
  expect(loaded).toBeGreaterThan(0);
  expect(loaded).toBeLessThan(await activeSince(vm, "network-pre.target"));
  expect(loaded).toBeLessThan(await activeSince(vm, network));
  expect(await said(vm, "journalctl -b -o cat | grep -i 'ordering cycle' || :")).toBe("");
}

/** What is left of us anywhere, less the lock and the results of the last minute, which somebody may still ask for. */
export const traces = (vm: Vm) =>
  said(
    vm,
    "find / -xdev -path /var/log -prune -o -name '*drawbridge*' -print; find /run/drawbridge -type f ! -path '*/results/*' 2>/dev/null; nft list tables | grep drawbridge; systemctl --all --plain --no-legend list-units '*drawbridge*' | grep -v 'not-found'",
  );

/** Counts datagrams that reach addresses of the outside world. */
export class Receiver {
  private readonly counts = new Map<string, number>();
  private readonly sockets: Socket[] = [];

  private constructor(
    /** where each of the two addresses listens */
    readonly ports: ReadonlyMap<string, number>,
  ) {}

  static async open(): Promise<Receiver> {
    const ports = new Map<string, number>();
    const receiver = new Receiver(ports);
    await makeOutside();
    for (const address of [PRIVATE, PUBLIC]) {
      const socket = createSocket("udp4");
      socket.on("message", () => receiver.counts.set(address, receiver.count(address) + 1));
      // Test files run side by side in one outside world: a port that nobody else has.
      socket.bind(0, address);
      await once(socket, "listening");
      ports.set(address, socket.address().port);
      receiver.sockets.push(socket);
    }
    return receiver;
  }

  count(address: string): number {
    return this.counts.get(address) ?? 0;
  }

  /** From here on, from zero. */
  reset(): void {
    this.counts.clear();
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
  }
}

/** From the first moment that the network is there, at every boot and at once: datagrams to both addresses, as many as the machine can send. */
export const installFlood = (vm: Vm, { ports }: Receiver) =>
  vm.run(`
    cat >/usr/local/sbin/flood <<'end'
#!/usr/bin/perl
use Socket;
socket(my $out, PF_INET, SOCK_DGRAM, 0) or die;
my @to = (${[...ports].map(([address, port]) => `pack_sockaddr_in(${port}, inet_aton("${address}"))`).join(", ")});
while (1) { send($out, "x", 0, $_) for @to; select(undef, undef, undef, 0.005) }
end
    chmod 755 /usr/local/sbin/flood
    printf '%s\\n' '[Unit]' DefaultDependencies=no After=network-pre.target 'Conflicts=shutdown.target' '[Service]' ExecStart=/usr/local/sbin/flood Nice=10 '[Install]' WantedBy=sysinit.target >/etc/systemd/system/flood.service
    systemctl daemon-reload
    systemctl enable --now flood`);
