import { z } from "zod";
import { describeCreate, describeUpdate } from "../core/files/drift";
import { masked } from "./secrets";
import type { AnyKind } from "./spec";
import { reporterFor } from "./status";
import { confirmedOf } from "./stored";
import { isSame, type Props } from "./wire";

/*
 * What a preview says, with each resource, of the lines that will change on its host. Check speaks for a create, since a preview calls
 * nothing else of it; diff for an update, since only it is told what stands.
 */

const lines = z.record(z.string(), z.string());

export function forecastCreate(news: Props, urn: unknown): void {
  const wanted = lines.safeParse(news["rules"]);
  if (!wanted.success) return;
  const [shown] = isSecret(news) ? masked(wanted.data, {}) : [wanted.data];
  const text = describeCreate(shown);
  if (text !== undefined) reporterFor(urn).note(text);
}

export function forecastUpdate(spec: AnyKind, olds: Props, news: Props, urn: unknown): void {
  const [found, wanted] = [lines.safeParse(olds["rules"]), lines.safeParse(news["rules"])];
  const confirmed = confirmedOf(olds)?.rules;
  if (!found.success || !wanted.success) return;
  const before = isSame(wanted.data, found.data) && confirmed ? confirmed : found.data;
  const [after, shown] = isSecret(news) || isSecret(olds) ? masked(wanted.data, before) : [wanted.data, before];
  const text = describeUpdate(after, shown, spec.domain === "nft");
  if (text !== undefined) reporterFor(urn).note(text);
}

const isSecret = (props: Props) => props["__secretArguments"] !== undefined;
