// What is asked of the server. Each call gives the answer, or throws a Refusal with the server's own sentence.

const BASE = "/api/v1";
const TOKEN = "bouba_token";

export class Refusal extends Error {
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status; // 0: no server answered
    this.retryAfter = retryAfter; // seconds
  }
}

/** Pictures and sounds are fetched by the browser itself, which sends cookies and nothing else. */
export function keepToken(token) {
  document.cookie = `${TOKEN}=${encodeURIComponent(token)}; path=/; SameSite=Strict`;
}

export const get = async (path, query = {}, options = {}) => (await call(path, query, options)).json();

export async function bytes(path, query = {}, options = {}) {
  const answer = await call(path, query, options);
  return { buffer: await answer.arrayBuffer(), headers: answer.headers };
}

/** A question with files: `field` holds `content` as JSON, and f0, f1, ... are the files. */
export async function post(path, query, field, content, files, options = {}) {
  const form = new FormData();
  form.set(field, JSON.stringify(content));
  files.forEach((file, place) => form.set(`f${place}`, file, file.name || `f${place}`));
  return (await call(path, query, { ...options, method: "POST", body: form })).json();
}

async function call(path, query, options) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const address = given.length ? `${BASE}${path}?${new URLSearchParams(given)}` : BASE + path;
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(String(error.message), 0);
  }
  if (answer.ok) return answer;
  throw new Refusal(await sentence(answer), answer.status, Number(answer.headers.get("Retry-After")) || null);
}

async function sentence(answer) {
  try {
    return (await answer.json()).error ?? answer.statusText;
  } catch {
    return answer.statusText || String(answer.status);
  }
}
