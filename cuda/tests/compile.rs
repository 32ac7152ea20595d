//! The kernels compile for GPUs with and without tensor cores, without spilling registers where it matters.

use sworn_inference::testing;

#[test]
fn kernels_compile_where_there_is_a_compiler() {
    for (major, minor) in [(7, 5), (8, 0), (8, 9), (9, 0)] {
        match sworn_cuda::compile(major, minor) {
            Ok((code, log)) => {
                assert!(code.starts_with(b"\x7fELF"));
                println!("sm_{major}{minor}: {} bytes\n{log}", code.len());
                for kernel in ["sworn_matmul_dot", "sworn_mix", "sworn_scores"] {
                    let (_, after) = log.split_once(&format!("'{kernel}'")).expect("a report");
                    let spills = after.lines().find(|line| line.contains("spill stores"));
                    assert!(
                        spills.is_some_and(|line| line.contains(" 0 bytes spill stores")),
                        "{kernel}"
                    );
                }
            }
            Err(message) if message.contains("not installed") => {
                testing::skip_without(&format!("CUDA kernels are not compiled: {message}"));
                return;
            }
            Err(message) => panic!("{message}"),
        }
    }
}
