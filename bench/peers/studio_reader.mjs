// A client of the studio that reads events but draws nothing. After the message { origin, run } from the parent, it
// connects to the list of runs and to the events of a run. After the message { stop }, it closes both connections, and
// answers with the number of events.
let streams = new AbortController();
let events = 0;

const read = async (address, signal) => {
  try {
    const response = await fetch(address, { signal, headers: { Accept: "text/event-stream" } });
    const decoder = new TextDecoder();
    for await (const chunk of /** @type {any} */ (response.body)) {
      const text = decoder.decode(chunk, { stream: true });
      for (let at = text.indexOf("\ndata:"); at !== -1; at = text.indexOf("\ndata:", at + 1)) events++;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};

process.on("message", (/** @type {any} */ message) => {
  if (message.stop === true) {
    streams.abort();
    process.send?.({ events });
    return;
  }
  const { origin, run } = message;
  streams = new AbortController();
  events = 0;
  const at = `${origin}/api/v1`;
  void fetch(`${at}/runs/${run}/series`)
    .then((response) => response.json())
    .then(({ offset }) => {
      void read(`${at}/events`, streams.signal);
      void read(`${at}/runs/${run}/events?after=${offset}`, streams.signal);
      process.send?.({ connected: true });
    });
});
