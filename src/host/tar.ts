import { buffer } from "node:stream/consumers";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract, pack } from "tar-stream";

/** One file of a tar stream; owner and group by number, mode as four octal digits. */
export interface TarFile {
  readonly text: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

/** A tar stream of regular files. */
export async function packFiles(files: ReadonlyMap<string, string>): Promise<Buffer> {
  const archive = pack();
  for (const [name, text] of files) archive.entry({ name, mode: 0o600 }, text);
  archive.finalize();
  return buffer(archive);
}

/** The regular files of a tar stream, compressed by gzip or not, by path without a leading `./`. Links keep their target as `text`, with mode `link`. */
export async function unpackFiles(archive: Buffer): Promise<Map<string, TarFile>> {
  const files = new Map<string, TarFile>();
  const stream = extract();
  const source = Readable.from([archive]);
  const isCompressed = archive[0] === 0x1f && archive[1] === 0x8b;
  // Errors of all parts come out of the loop.
  pipeline(isCompressed ? [source, createGunzip(), stream] : [source, stream], () => undefined);
  for await (const entry of stream) {
    const { name, type, mode, uid, gid, linkname } = entry.header;
    const text = (await buffer(entry)).toString("utf8");
    const path = name.replace(/^\.\//, "");
    if (type === "symlink") files.set(path, { text: linkname, mode: "link", uid, gid });
    if (type === "file") files.set(path, { text, mode: (mode & 0o7777).toString(8).padStart(4, "0"), uid, gid });
  }
  return files;
}
