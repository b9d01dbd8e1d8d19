// Plays many waveforms as one. They are the channels of one buffer, which is played by one source, so they cannot part;
// what is heard is a matter of gains, so switching leaves no gap and keeps the place, to the sample.
//
// One more channel counts samples. What it says last is where the sound is, also on a machine that is too busy to
// render in time: the clock of the context would run on.

const RATE = 32000;
const FADE = 0.008; // seconds: short enough to be at once, long enough for no click
const LEAD = 0.05; // seconds from asking until it sounds
const LOUDEST = 0.7; // peak of the loudest waveform
const MOST = 31; // channels of a buffer, without the one that counts

// Between two samples a browser would interpolate, and take the highs away.
const onGrid = (seconds) => Math.round(seconds * RATE) / RATE;

export class Player {
  constructor(addresses) {
    this.addresses = addresses;
    this.buffers = addresses.map(() => null);
    this.context = null;
    this.sounding = null; // what plays: source, gains by index, and the ear on the channel that counts
    this.place = 0; // seconds, where it stands when it does not play
    this.chosen = 0;
    this.before = 0;
    this.equal = false;
    this.loop = false;
    this.volume = 1;
    this.listeners = [];
  }

  onchange(listener) {
    this.listeners.push(listener);
  }

  changed() {
    for (const listener of this.listeners) listener(this);
  }

  get playing() {
    return this.sounding !== null;
  }

  get loaded() {
    return this.buffers.filter(Boolean).length;
  }

  get length() {
    return Math.max(0, ...this.buffers.map((buffer) => (buffer ? buffer.length : 0)));
  }

  get duration() {
    return this.length / RATE;
  }

  get position() {
    if (!this.playing) return this.place;
    const last = new Float32Array(32);
    this.sounding.ear.getFloatTimeDomainData(last);
    const counted = last[last.length - 1] * this.length;
    return counted > 0 ? counted / RATE : this.place;
  }

  // Decoding needs no sound card and no permission: an offline context does it.
  async load() {
    const decoder = new OfflineAudioContext(1, 1, RATE);
    for (const [index, address] of this.addresses.entries()) {
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(await answer.text());
        this.buffers[index] = await decoder.decodeAudioData(await answer.arrayBuffer());
      } catch (error) {
        this.failure = String(error.message || error);
      }
      this.changed();
    }
  }

  open() {
    if (this.context) return;
    this.context = new AudioContext({ sampleRate: RATE });
    this.master = new GainNode(this.context, { gain: this.volume });
    this.analyser = new AnalyserNode(this.context);
    this.master.connect(this.analyser).connect(this.context.destination);
  }

  // All waveforms that fit, the chosen one among them, as channels of one buffer.
  together() {
    const rows = [];
    const taken = [];
    const first = [this.chosen, ...this.buffers.keys()];
    for (const index of new Set(first.filter((one) => this.buffers[one]))) {
      const buffer = this.buffers[index];
      if (rows.length + buffer.numberOfChannels > MOST) continue;
      taken.push({ index, from: rows.length, channels: buffer.numberOfChannels });
      for (let k = 0; k < buffer.numberOfChannels; k += 1) rows.push(buffer.getChannelData(k));
    }
    const buffer = new AudioBuffer({ length: this.length, numberOfChannels: rows.length + 1, sampleRate: RATE });
    rows.forEach((row, k) => buffer.copyToChannel(row, k));
    const count = buffer.getChannelData(rows.length);
    for (let k = 0; k < count.length; k += 1) count[k] = (k + 1) / count.length;
    return { buffer, taken };
  }

  async play() {
    if (this.playing || !this.loaded) return;
    this.open();
    await this.context.resume();
    if (!this.loop && this.place >= this.duration - 0.01) this.place = 0;
    const { buffer, taken } = this.together();
    const source = new AudioBufferSourceNode(this.context, { buffer, loop: this.loop });
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: buffer.numberOfChannels });
    const ear = new AnalyserNode(this.context, { fftSize: 32 });
    const gains = new Map();
    source.connect(splitter);
    splitter.connect(ear, buffer.numberOfChannels - 1);
    for (const { index, from, channels } of taken) {
      const gain = new GainNode(this.context, { gain: index === this.chosen ? this.level(index) : 0 });
      const merger = new ChannelMergerNode(this.context, { numberOfInputs: 2 });
      splitter.connect(merger, from, 0);
      splitter.connect(merger, from + channels - 1, 1);
      merger.connect(gain).connect(this.master);
      gains.set(index, gain);
    }
    source.onended = () => this.ended(source);
    source.start(onGrid(this.context.currentTime + LEAD), Math.min(this.place, this.duration));
    this.sounding = { source, gains, ear };
    this.changed();
  }

  ended(source) {
    if (this.sounding?.source !== source) return;
    this.silence();
    this.place = this.duration;
    this.changed();
  }

  silence() {
    const { source, gains } = this.sounding;
    this.sounding = null;
    source.stop();
    source.disconnect();
    for (const gain of gains.values()) gain.disconnect();
  }

  pause() {
    if (!this.playing) return;
    this.place = onGrid(this.position);
    this.silence();
    this.changed();
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  async seek(seconds) {
    const again = this.playing;
    this.pause();
    this.place = onGrid(Math.min(Math.max(0, seconds), this.duration));
    this.changed();
    if (again) await this.play();
  }

  choose(index) {
    if (index < 0 || index >= this.addresses.length || index === this.chosen) return undefined;
    this.before = this.chosen;
    this.chosen = index;
    this.fade();
    this.changed();
    const absent = this.playing && this.buffers[index] && !this.sounding.gains.has(index);
    return absent ? this.seek(this.position) : undefined; // it was read after the others had begun
  }

  fade() {
    if (!this.playing) return;
    const now = this.context.currentTime;
    for (const [index, { gain }] of this.sounding.gains) {
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(index === this.chosen ? this.level(index) : 0, now + FADE);
    }
  }

  setEqual(equal) {
    this.equal = equal;
    this.fade();
    this.changed();
  }

  setLoop(loop) {
    this.loop = loop;
    if (this.playing) this.sounding.source.loop = loop;
    this.changed();
  }

  setVolume(decibels) {
    this.volume = 10 ** (decibels / 20);
    if (this.master) this.master.gain.setTargetAtTime(this.volume, this.context.currentTime, 0.01);
  }

  // One gain for all, so that what is quieter sounds quieter; or, if asked for, one loudness for all.
  level(index) {
    const facts = this.buffers.map((buffer) => (buffer ? measure(buffer) : { peak: 0, power: 0 }));
    const common = LOUDEST / Math.max(1e-6, ...facts.map((fact) => fact.peak));
    if (!this.equal) return common;
    const loudest = Math.max(...facts.map((fact) => fact.power));
    const { peak, power } = facts[index];
    if (power <= 0) return common;
    return Math.min(common * Math.sqrt(loudest / power), LOUDEST / peak);
  }
}

const measured = new WeakMap();

function measure(buffer) {
  if (!measured.has(buffer)) {
    let peak = 0;
    let power = 0;
    for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
      for (const sample of buffer.getChannelData(channel)) {
        peak = Math.max(peak, Math.abs(sample));
        power += sample * sample;
      }
    }
    measured.set(buffer, { peak, power: power / buffer.numberOfChannels / Math.max(1, buffer.length) });
  }
  return measured.get(buffer);
}
