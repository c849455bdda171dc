import { kinds } from "../../src/providers/registry";
import { lawsHold } from "./laws";
import { NOT_IN_THE_LAB, ofThings, samples } from "./samples";

test.each([...kinds.keys()])("every argument of %s has an edit in a sample", (kind) => {
  const edited = samples.flatMap((sample) => (sample.kind === kind ? Object.keys(sample.edits) : []));
  const known = [...new Set([...edited, ...(NOT_IN_THE_LAB[kind] ?? [])])].sort();
  expect(known).toEqual(Object.keys(kinds.get(kind)?.schema.shape ?? {}).sort());
});

lawsHold(ofThings);
