// Sounds from the microphone, and any sound the browser can play, as WAV: what the server reads everywhere.

const READ_AS_THEY_ARE = /\.(wav|flac|ogg)$/i;

/** Starts to record. Gives a function that ends it and returns a WAV file. */
export async function record() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.start();
  return () =>
    new Promise((resolve, reject) => {
      recorder.addEventListener("stop", () => {
        for (const track of stream.getTracks()) track.stop();
        asWav(new Blob(pieces, { type: recorder.mimeType }), "recorded.wav").then(resolve, reject);
      });
      recorder.stop();
    });
}

/** A sound file that the server reads: itself, or decoded by the browser. */
export async function readable(file) {
  return READ_AS_THEY_ARE.test(file.name) ? file : asWav(file, `${file.name}.wav`);
}

async function asWav(blob, name) {
  const context = new AudioContext();
  try {
    return wav(await context.decodeAudioData(await blob.arrayBuffer()), name);
  } finally {
    context.close();
  }
}

/** 16-bit PCM of all channels mixed into one, in a RIFF header of 44 bytes. */
function wav(sound, name) {
  const samples = mixed(sound);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, 2 * sound.sampleRate, true);
  view.setUint16(32, 2, true); // bytes a sample
  view.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new File([view], name, { type: "audio/wav" });
}

function mixed(sound) {
  const samples = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++)
    sound.getChannelData(channel).forEach((value, i) => (samples[i] += value / sound.numberOfChannels));
  return samples;
}
