import { pipeline, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createGunzip } from "node:zlib";
import { extract, pack } from "tar-stream";
import { z } from "zod";
import { BadAnswer, LIMITS, tarHeader } from "./protocol";

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

/**
 * The regular files of a tar stream, compressed by gzip or not, by path without a leading `./`. Links keep their target as `text`, with
 * mode `link`. Reads no further than the limits of a look.
 * @throws BadAnswer where the stream is cut or damaged, too large, or holds what a host's program never packs
 */
export async function unpackFiles(archive: Buffer): Promise<Map<string, TarFile>> {
  const files = new Map<string, TarFile>();
  const stream = extract();
  const source = Readable.from([archive]);
  const isCompressed = archive[0] === 0x1f && archive[1] === 0x8b;
  // Errors of all parts come out of the loop.
  const plain: AsyncIterable<Buffer> = isCompressed ? pipeline(source, createGunzip(), () => undefined) : source;
  pipeline(Readable.from(measured(plain)), stream, () => undefined);
  try {
    let entries = 0;
    for await (const entry of stream) {
      entries += 1;
      if (entries > LIMITS.tarEntries) throw new BadAnswer(`an archive of more than ${LIMITS.tarEntries} files`);
      const { name, type, mode, uid, gid, linkname } = tarHeader.parse(entry.header);
      const path = name.replace(/^\.\//, "");
      if (files.has(path)) throw new BadAnswer(`an archive with two files ${path}`);
      if (type === "directory") entry.resume();
      else if (type === "file") files.set(path, { text: await textOf(path, entry), mode: octal(mode), uid, gid });
      else files.set(path, { text: linkname, mode: "link", uid, gid });
    }
  } catch (error) {
    if (error instanceof BadAnswer) throw error;
    throw new BadAnswer(`an archive that cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return files;
}

const bytes = z.instanceof(Uint8Array);

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, "0");

async function textOf(path: string, entry: AsyncIterable<unknown>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const part of entry) {
    const chunk = bytes.parse(part);
    size += chunk.length;
    if (size > LIMITS.tarEntryBytes)
      throw new BadAnswer(`an archive whose file ${path} has more than ${LIMITS.tarEntryBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

const END_BYTES = 1024;

/** Passes an unpacked archive on, up to the limit, and wants its end: two blocks of zeros, without which something was cut off. */
async function* measured(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let size = 0;
  let tail = Buffer.alloc(0);
  for await (const chunk of source) {
    size += chunk.length;
    if (size > LIMITS.unpackedBytes) throw new BadAnswer(`an archive of more than ${LIMITS.unpackedBytes} bytes`);
    tail = Buffer.concat([tail, chunk.subarray(-END_BYTES)]).subarray(-END_BYTES);
    yield chunk;
  }
  if (tail.length < END_BYTES || tail.some((byte) => byte !== 0)) throw new BadAnswer("an archive without its end");
}
