import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "./drive";

/** A user of the host who looks all the time. */
const mallory = "mallory";
const folder = "/opt/guarded";
const path = `${folder}/run`;

let host: LabHost;
beforeEach(async () => {
  host = await startHost();
  await host.run(`useradd -m -s /bin/sh ${mallory}; mkdir ${folder}`);
});
afterEach(() => host.down());

const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, path, ...own });
const output = async (script: string, user?: string) =>
  (await host.run(script, user === undefined ? {} : { user })).stdout.trim();
const stands = () => output(`cat ${path}; echo; stat -c %U:%G:%a ${path}; ls -A ${folder}`);

/** What he gets to see of all that the folder holds, under any name, while something is done; and whose setuid programs. */
async function seenDuring(action: () => Promise<unknown>): Promise<readonly string[]> {
  await host.run("rm -f /tmp/ready /tmp/enough");
  const watching = output(
    `perl -e 'my (%seen, $count);
      until (-e "/tmp/enough") {
        opendir(my $folder, "${folder}") or die;
        for my $name (readdir $folder) {
          my ($mode, $uid) = (stat "${folder}/$name")[2, 4];
          next unless defined $mode && ($mode & 0170000) == 0100000;
          $seen{"setuid " . getpwuid($uid)}++ if $mode & 04000;
          open(my $file, "<", "${folder}/$name") or next;
          local $/; my $text = <$file>; $seen{$text}++;
        }
        if (++$count == 100) { open(my $ready, ">", "/tmp/ready") }
      }
      print join "\\n", sort keys %seen'`,
    mallory,
  );
  await host.run("for i in $(seq 600); do [ -e /tmp/ready ] && exit 0; sleep 0.05; done; exit 1");
  await action();
  await host.run("touch /tmp/enough");
  return (await watching).split("\n").filter((line) => line !== "");
}

const file = (content: string, access: string, mode: string) =>
  host.run(`printf '${content}' >${path}; chown ${access} ${path}; chmod ${mode} ${path}`);

/** Applies a change over a host that lets nobody in to confirm it, and waits until it is rolled back. */
async function rolledBack(change: Promise<unknown>, meanwhile = "true"): Promise<void> {
  const cut = "nft 'add table ip cut { chain in { type filter hook input priority 0; tcp dport 22 ct state new drop; }; }'";
  const outcome = change.then(
    () => "confirmed",
    () => "rolled back",
  );
  // From when the host begins, so that the way is cut before the change can be confirmed.
  await host.run(
    `for i in $(seq 3000); do [ -d /var/lib/drawbridge/txn/*/ ] && break; sleep 0.01; done; ${cut}
     for i in $(seq 600); do grep -qs ^applied /run/drawbridge/results/* && break; sleep 0.1; done; ${meanwhile}`,
  );
  await host.run(
    "for i in $(seq 600); do ls -d /var/lib/drawbridge/txn/*/ >/dev/null 2>&1 || break; sleep 0.1; done; nft delete table ip cut",
  );
  expect(await outcome).toBe("rolled back");
}

test("the control: content and mode in two steps are seen in between", async () => {
  await file("hidden", "root:root", "0600");
  const twoSteps = `for i in $(seq 20); do chmod 644 ${path}; printf shown >${folder}/new; mv ${folder}/new ${path}; sleep 0.01
    printf hidden >${folder}/new; mv ${folder}/new ${path}; chmod 600 ${path}; done`;
  expect(await seenDuring(() => host.run(twoSteps))).toContain("hidden");
});

test.each([
  ["the mode", {}, { mode: "0644" }],
  ["the owner", {}, { owner: mallory, mode: "0600" }],
  ["the group", { group: "spicegrp", mode: "0640" }, { group: mallory, mode: "0640" }],
])("a content that %s hides is not seen in create, update, rollback and delete", async (_what, ofHidden, ofShown) => {
  await file("hidden, as found", "root:root", "0600");
  const shut = { content: "hidden", mode: "0600", ...ofHidden, adopt: true };
  const open = { content: "shown", ...ofShown, adopt: true };
  const seen = await seenDuring(async () => {
    const made = await Driven.create("GuardedFile", "file", on(open));
    expect(await output(`cat ${path}`, mallory)).toBe("shown");
    await rolledBack(made.up(on({ ...shut, confirmDeadlineSeconds: 3 })));
    expect(await output(`cat ${path}`, mallory)).toBe("shown");
    await made.up(on(shut));
    expect(await output(`cat ${path} 2>/dev/null || echo denied`, mallory)).toBe("denied");
    await rolledBack(made.up(on({ ...open, confirmDeadlineSeconds: 3 })));
    expect(await output(`cat ${path} 2>/dev/null || echo denied`, mallory)).toBe("denied");
    await made.up(on(open));
    await made.delete();
  });
  expect(await stands()).toBe("hidden, as found\nroot:root:600\nrun");
  expect(seen).toEqual(["shown"]);
});

test("a content that stays is not seen while its group and mode change", async () => {
  await file("hidden", "root:root", "0640");
  const seen = await seenDuring(async () => {
    const made = await Driven.create("GuardedFile", "file", on({ group: mallory, mode: "0600" }));
    expect(await output(`stat -c %G:%a ${path}`)).toBe(`${mallory}:600`);
    await made.delete();
  });
  expect(await stands()).toBe("hidden\nroot:root:640\nrun");
  expect(seen).toEqual([]);
});

test("a setuid program that changes hands is nobody else's setuid program in between", async () => {
  await host.run(`install -m 4755 /usr/bin/id ${path}`);
  const found = await output(`sha256sum ${path}; stat -c %U:%a ${path}`);
  const roots = { owner: "root", mode: "4755" };
  const seen = await seenDuring(async () => {
    const made = await Driven.create("GuardedFile", "file", on(roots));
    await made.up(on({ owner: mallory, mode: "0755", dropSetuid: true }));
    await made.up(on(roots));
    await made.delete();
  });
  expect(await output(`sha256sum ${path}; stat -c %U:%a ${path}`)).toBe(found);
  // The control: that he sees setuid programs at all.
  expect(seen.filter((line) => line.startsWith("setuid"))).toEqual(["setuid root"]);
});

test("a content comes and goes with `content`, whatever the mode becomes with it", async () => {
  await file("shown, as found", "root:root", "0644");
  const seen = await seenDuring(async () => {
    const made = await Driven.create("GuardedFile", "file", on({ content: "hidden", mode: "0600", adopt: true }));
    await made.up(on({ mode: "0644" }));
    expect(await output(`cat ${path}`, mallory)).toBe("shown, as found");
    await made.delete();
  });
  expect(await stands()).toBe("shown, as found\nroot:root:644\nrun");
  expect(seen).toEqual(["shown, as found"]);
});

test("what the owner to whom a change gives a file makes of it does not outlive the rollback", async () => {
  await file("hidden", "root:spicegrp", "0640");
  await rolledBack(
    Driven.create(
      "GuardedFile",
      "file",
      on({ content: "his", owner: mallory, mode: "0600", adopt: true, confirmDeadlineSeconds: 5 }),
    ),
    `su ${mallory} -c 'chmod 4777 ${path}; chgrp ${mallory} ${path}; echo more >>${path}'; stat -c %U:%G:%a ${path} >/tmp/was`,
  );
  // The control: all of it did stand.
  expect(await output("cat /tmp/was")).toMatch(new RegExp(`^${mallory}:${mallory}:.?777$`));
  expect(await stands()).toBe("hidden\nroot:spicegrp:640\nrun");
});

test.each([
  ["setuid", "4755", {}, "root:755\nhis"],
  ["setgid", "2755", {}, "root:755\nhis"],
  // The former program comes back with it: those bytes are not his.
  ["setgid", "2755", { content: "his", adopt: true }, "root:2755\nroot's"],
])("a %s bit (%s) that a change has taken off comes back onto no program that was somebody's meanwhile: %j", async (...story) => {
  const [, mode, change, after] = story;
  await host.run(`install -m ${mode} /usr/bin/id ${path}`);
  const made = await Driven.create("GuardedFile", "file", on({ owner: "root", mode }));
  await rolledBack(
    made.up(on({ owner: mallory, mode: "0755", ...change, dropSetuid: true, confirmDeadlineSeconds: 5 })),
    `su ${mallory} -c 'cp /usr/bin/who ${path}'; stat -c %U ${path} >/tmp/was`,
  );
  // The control: it was his.
  expect(await output("cat /tmp/was")).toBe(mallory);
  expect(
    await output(
      `stat -c %U:%a ${path}; if cmp -s ${path} /usr/bin/who; then echo his; else cmp ${path} /usr/bin/id && echo "root's"; fi`,
    ),
  ).toBe(after);
});

test("what a killed process leaves beside the file goes with the rollback, and nothing of others does", async () => {
  await file("as found", "root:root", "0644");
  // A rename that takes for ever.
  await host.run(`printf '#!/bin/sh\ncase "$*" in *" ${path}") echo $$ >/tmp/at; exec sleep 600 ;; esac; exec /usr/bin/mv "$@"\n' >/usr/local/bin/mv
    chmod 755 /usr/local/bin/mv; echo theirs >${folder}/.drawbridge.theirs`);
  const changing = Driven.create(
    "GuardedFile",
    "file",
    on({ content: "new", mode: "0600", adopt: true, confirmDeadlineSeconds: 5 }),
  ).then(
    () => "confirmed",
    () => "rolled back",
  );
  const left = await output(
    `for i in $(seq 600); do [ -s /tmp/at ] && break; sleep 0.05; done; rm /usr/local/bin/mv; pkill -KILL -f '[d]rawbridge-host'; kill -KILL $(cat /tmp/at); ls -A ${folder}`,
  );
  expect(left).toMatch(/^\.drawbridge\.[0-9a-f-]{36}\n\.drawbridge\.theirs\nrun$/);
  expect(await changing).toBe("rolled back");
  await host.run(
    "for i in $(seq 600); do ls -d /var/lib/drawbridge/txn/*/ >/dev/null 2>&1 || break; drawbridge-host settle; sleep 0.1; done",
  );
  expect(await stands()).toBe("as found\nroot:root:644\n.drawbridge.theirs\nrun");
});
