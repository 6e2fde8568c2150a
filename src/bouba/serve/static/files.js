// Files that a person gives: of which kind they are, whether the run reads them, and in a form that the server takes.

import { t } from "./language.js";
import { readable } from "./sound.js";

/** What a file chooser offers for a kind of view. */
export const ACCEPT = { image: "image/*", audio: "audio/*", video: "video/*" };

export function kindOf(file) {
  const kind = file.type.split("/")[0];
  return kind in ACCEPT ? kind : null;
}

/** A file as it may be sent. Throws an Error with a sentence where it may not. */
export async function sendable(file, run) {
  const kind = kindOf(file);
  if (!run.views.some((view) => view.kind === kind)) throw new Error(t("file.unread", { name: file.name }));
  const ready = await converted(file, kind, run.limits);
  if (ready.size > run.limits.upload_bytes)
    throw new Error(t("file.large", { name: file.name, n: Math.floor(run.limits.upload_bytes / 1e6) }));
  return ready;
}

async function converted(file, kind, limits) {
  try {
    if (kind === "audio") return await readable(file);
    if (kind === "image") return await within(file, limits);
  } catch {
    throw new Error(t("file.broken", { name: file.name }));
  }
  return file;
}

/** A picture, made smaller only where it is larger than the server takes. */
async function within(file, limits) {
  const bitmap = await createImageBitmap(file);
  const pixels = bitmap.width * bitmap.height;
  if (file.size <= limits.upload_bytes && pixels <= limits.pixels) return file;
  const scale = Math.min(1, 1600 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  return new File([blob], `${file.name}.jpg`, { type: "image/jpeg" });
}
