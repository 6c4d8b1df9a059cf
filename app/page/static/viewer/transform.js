// A worker, not a module: fft.js is CommonJS. Spectra of windowed squares, peaks in them, and tests of residuals.

/* global FFT */
var module = {};
importScripts("../vendor/fft.js");
var Transform = module.exports;

/** Power spectrum of a square whose side is a power of two, zero frequency first. A Hann window: without one, borders would show as a cross. */
function power(pixels, side, windowed) {
  var mean = 0;
  for (var i = 0; i < pixels.length; i++) mean += pixels[i];
  mean /= pixels.length;
  var hann = new Float64Array(side);
  for (var k = 0; k < side; k++) hann[k] = windowed ? 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / (side - 1)) : 1;
  var fft = new Transform(side);
  var real = new Float64Array(side * side);
  var imaginary = new Float64Array(side * side);
  var input = new Float64Array(side);
  var output = new Float64Array(2 * side);
  for (var row = 0; row < side; row++) {
    for (var c = 0; c < side; c++) input[c] = (pixels[row * side + c] - mean) * hann[row] * hann[c];
    fft.realTransform(output, input);
    fft.completeSpectrum(output);
    for (c = 0; c < side; c++) {
      real[row * side + c] = output[2 * c];
      imaginary[row * side + c] = output[2 * c + 1];
    }
  }
  var spectrum = new Float64Array(side * side);
  var complex = new Float64Array(2 * side);
  for (var column = 0; column < side; column++) {
    for (var r = 0; r < side; r++) {
      complex[2 * r] = real[r * side + column];
      complex[2 * r + 1] = imaginary[r * side + column];
    }
    fft.transform(output, complex);
    for (r = 0; r < side; r++) spectrum[r * side + column] = output[2 * r] * output[2 * r] + output[2 * r + 1] * output[2 * r + 1];
  }
  return spectrum;
}

function frequencyOf(index, side) {
  var row = Math.floor(index / side);
  var column = index % side;
  return Math.hypot(row > side / 2 ? row - side : row, column > side / 2 ? column - side : column) / side;
}

/** Median power of rings of nearly equal frequency, 1024 of each half of the plane, as the mean of an exponential distribution. */
function background(spectrum, side) {
  var frequency = new Float32Array(spectrum.length);
  for (var i = 0; i < spectrum.length; i++) frequency[i] = frequencyOf(i, side);
  var order = Uint32Array.from(spectrum.keys()).sort(function (a, b) { return frequency[a] - frequency[b]; });
  var means = new Float64Array(spectrum.length);
  var rings = Math.max(1, Math.floor(order.length / 2048));
  for (var number = 0; number < rings; number++) {
    var ring = order.subarray(Math.floor((number * order.length) / rings), Math.floor(((number + 1) * order.length) / rings));
    var sorted = Float64Array.from(ring, function (at) { return spectrum[at]; }).sort();
    var median = sorted[sorted.length >> 1] / Math.LN2;
    for (var k = 0; k < ring.length; k++) means[ring[k]] = Math.max(median, Number.MIN_VALUE);
  }
  return { means: means, frequency: frequency };
}

/** Local maxima over their ring, highest first: row, column from the centre, height. */
function peaks(spectrum, side, most) {
  var found = [];
  var around = background(spectrum, side);
  var bound = Math.log(spectrum.length / 2 / 0.01);
  for (var row = 0; row < side; row++) {
    for (var column = 0; column < side; column++) {
      var at = row * side + column;
      var height = spectrum[at] / around.means[at];
      if (height <= bound || around.frequency[at] < 3 / side) continue;
      var highest = true;
      for (var dy = -4; dy <= 4 && highest; dy++) for (var dx = -4; dx <= 4; dx++) if (spectrum[((row + dy + side) % side) * side + ((column + dx + side) % side)] > spectrum[at]) { highest = false; break; }
      if (highest) found.push([row > side / 2 ? row - side : row, column > side / 2 ? column - side : column, height]);
    }
  }
  found.sort(function (a, b) { return b[2] - a[2]; });
  return { found: found.slice(0, most), bound: bound, highest: found.length ? found[0] : null };
}

/** Zero frequency into the middle, log10 of 1 + power. */
function shown(spectrum, side) {
  var image = new Float32Array(spectrum.length);
  var half = side / 2;
  for (var row = 0; row < side; row++) for (var column = 0; column < side; column++) image[((row + half) % side) * side + ((column + half) % side)] = Math.log10(1 + spectrum[row * side + column]);
  return image;
}

/** Largest correlation between pixels of a residual, against that of white noise; see reucid_core.metrics.whiteness. */
function whiteness(pixels, side) {
  var spectrum = power(pixels, side, false);
  var correlation = power32(spectrum, side);
  var largest = 0;
  for (var i = 1; i < correlation.length; i++) largest = Math.max(largest, Math.abs(correlation[i] / correlation[0]));
  return { largest: largest, bound: Math.sqrt((2 * Math.log(spectrum.length / 0.01)) / spectrum.length) };
}

/** Real part of the transform of a power spectrum: the autocorrelation, not scaled. */
function power32(spectrum, side) {
  var fft = new Transform(side);
  var real = new Float64Array(side * side);
  var output = new Float64Array(2 * side);
  var complex = new Float64Array(2 * side);
  var imaginary = new Float64Array(side * side);
  for (var row = 0; row < side; row++) {
    for (var c = 0; c < side; c++) { complex[2 * c] = spectrum[row * side + c]; complex[2 * c + 1] = 0; }
    fft.transform(output, complex);
    for (c = 0; c < side; c++) { real[row * side + c] = output[2 * c]; imaginary[row * side + c] = output[2 * c + 1]; }
  }
  for (var column = 0; column < side; column++) {
    for (var r = 0; r < side; r++) { complex[2 * r] = real[r * side + column]; complex[2 * r + 1] = imaginary[r * side + column]; }
    fft.transform(output, complex);
    for (r = 0; r < side; r++) real[r * side + column] = output[2 * r];
  }
  return real;
}

onmessage = function (event) {
  var given = event.data;
  var spectrum = power(given.pixels, given.side, true);
  var answer = { id: given.id, image: shown(spectrum, given.side), peaks: given.peaks ? peaks(spectrum, given.side, given.peaks) : null, white: given.white ? whiteness(given.pixels, given.side) : null };
  postMessage(answer, [answer.image.buffer]);
};
