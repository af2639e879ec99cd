// The diagnostics bundle: asked for with a header that only this page may send,
// so it comes as a blob that is then saved.

// download gets the bundle and saves it; text says how that goes.
export async function download(button, text, name = "Aerie") {
  button.disabled = true
  text.textContent = "Collecting. This takes a few seconds…"
  try {
    const response = await fetch("diagnostics", {method: "POST", headers: {"Aerie-Page": "1"}, signal: AbortSignal.timeout(60_000)})
    if (!response.ok) throw new Error(await response.text())
    save(await response.blob(), fileName(name, new Date()))
    text.textContent = "Saved. Look through the files before you pass them on: they tell names and addresses."
  } catch (error) {
    text.textContent = `That did not work: ${error.message}`
  }
  button.disabled = false
}

// fileName is "aerie Living Room 2026-11-28 21.37.zip", without what file names
// do not take.
function fileName(name, date) {
  const clean = name.replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, 40)
  const pad = n => String(n).padStart(2, "0")
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  return `aerie ${clean} ${day} ${pad(date.getHours())}.${pad(date.getMinutes())}.zip`
}

function save(blob, name) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
