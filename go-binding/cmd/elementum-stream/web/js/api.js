// What the service is asked.

export const API = "/api/v1";

export async function api(method, path, body, type) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = type || "application/json";
    request.body = type ? body : JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(API + path, request);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.status === 204) return null;
  let value = null;
  try { value = await response.json(); } catch { /* An error without a body is told by its number. */ }
  if (!response.ok) {
    const failed = new Error(value?.error?.message || `The service answered ${response.status}.`);
    failed.code = value?.error?.code || "";
    throw failed;
  }
  return Object.assign(value, { created: response.status === 201 });
}

// The playlist that begins with a file: what a player of one's own opens.
export const playlistOf = (index, file) => `/stream/${index}/playlist.m3u?file=${file}`;
