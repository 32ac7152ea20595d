//! A device for kernels that are launched one by one, and numbers to give them.

use sworn_cuda::device::{Device, Kernel, Launch, Params, Queue};
use sworn_inference::format::packed::Layout;
use sworn_inference::program::WeightFormat;
use sworn_inference::testing::Random;

/// A device with what a test put on it.
pub(crate) struct Desk<'d> {
    device: &'d dyn Device,
    queue: Box<dyn Queue + 'd>,
    used: Vec<u64>,
}

impl<'d> Desk<'d> {
    pub(crate) fn new(device: &'d dyn Device) -> Desk<'d> {
        Desk {
            device,
            queue: device.queue().unwrap(),
            used: Vec::new(),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let address = self.device.allocate(bytes.len().max(1) as u64).unwrap();
        self.queue.upload(address, bytes).unwrap();
        self.used.push(address);
        address
    }

    pub(crate) fn words<T: Copy, const N: usize>(
        &mut self,
        x: &[T],
        le: impl Fn(T) -> [u8; N],
    ) -> u64 {
        let bytes: Vec<u8> = x.iter().flat_map(|x| le(*x)).collect();
        self.bytes(&bytes)
    }

    pub(crate) fn floats(&mut self, x: &[f32]) -> u64 {
        self.words(x, f32::to_le_bytes)
    }

    /// Room for so many words, full of NaNs.
    pub(crate) fn room(&mut self, words: usize) -> u64 {
        let address = self.device.allocate(words.max(1) as u64 * 4).unwrap();
        self.used.push(address);
        address
    }

    pub(crate) fn launch(
        &mut self,
        kernel: Kernel,
        grid: [u32; 3],
        shared: u32,
        p: &[u64],
        n: &[u32],
        f: &[f32],
    ) {
        let mut params = Params::default();
        params.p[..p.len()].copy_from_slice(p);
        params.n[..n.len()].copy_from_slice(n);
        params.f[..f.len()].copy_from_slice(f);
        let launch = Launch {
            kernel,
            grid,
            shared,
            params,
        };
        self.queue.launch(&[launch]).unwrap();
    }

    pub(crate) fn read(&mut self, from: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        self.queue.download(from, &mut out).unwrap();
        out
    }

    pub(crate) fn numbers(&mut self, from: u64, n: usize) -> Vec<u32> {
        let bytes = self.read(from, n * 4);
        let (words, _) = bytes.as_chunks::<4>();
        words
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect()
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        for address in &self.used {
            self.device.release(*address);
        }
    }
}

/// Numbers of all magnitudes; with `special` also any bit pattern, infinities and NaNs among them.
pub(crate) fn numbers(random: &mut Random, n: usize, special: bool) -> Vec<f32> {
    let number = |random: &mut Random| {
        let bits = random.bits() as u32;
        match (bits % 16, special) {
            (0, true) => f32::from_bits(random.bits() as u32),
            (1, true) => f32::from_bits(bits & 0x807f_ffff),
            (2, _) => 0.0,
            (3, _) => f32::from_bits(bits & 0x81ff_ffff | 0x0300_0000),
            (4, true) => (bits >> 8) as f32 * 1e30,
            _ => (random.unit() - 0.5) * 8.0,
        }
    };
    let mut x: Vec<f32> = (0..n).map(|_| number(random)).collect();
    // Some blocks of small numbers and of zeros only.
    for (i, block) in x.chunks_mut(32).enumerate() {
        match i % 11 {
            3 => block.fill(-0.0),
            5 => block.iter_mut().for_each(|x| *x *= 1e-38),
            _ => {}
        }
    }
    x
}

/// Bytes of a packed tensor. Scales are finite unless `special`.
pub(crate) fn packed(random: &mut Random, layout: &Layout, special: bool) -> Vec<u8> {
    if layout.shape.format == WeightFormat::F32 {
        let n = layout.bytes() / 4;
        let numbers = numbers(random, n, special);
        return numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    }
    let wide = layout.shape.format == WeightFormat::Q8F;
    let mask = |i: usize| match (special, wide, i % 4) {
        (true, ..) | (_, true, 0 | 1) | (_, false, 0 | 2) => 0xff,
        _ => 0xbb,
    };
    let byte = |(i, random): (usize, u64)| random as u8 & mask(i);
    (0..layout.bytes())
        .map(|i| byte((i, random.bits())))
        .collect()
}
