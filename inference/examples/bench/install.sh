#!/usr/bin/env bash
# Installs the bench's peer, llama.cpp as the pinned release of llama-cpp-python, compiled from source, into a virtual environment:
#   install.sh native     target/bench/venv, for this processor
#   install.sh avx2       target/bench/venv-avx2, without AVX-512
#   install.sh all        both where they are not there yet; says what does not go and never fails
# The bench finds them there. Each takes ten minutes or more the first time; needs cc, c++ and python3 with venv. JOBS=N compiles with N processes.
set -euo pipefail
release=0.3.36
root=$(cd "$(dirname "$0")/../../.." && pwd)/target/bench
features=(-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAVA_BUILD=OFF)
case "${1:-native}" in
native)
    venv=$root/venv
    features+=(-DGGML_NATIVE=ON)
    ;;
avx2)
    venv=$root/venv-avx2
    features+=(-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF)
    ;;
all)
    kinds=(native)
    [ "$(uname -m)" != x86_64 ] || kinds+=(avx2)
    for kind in "${kinds[@]}"; do
        if ! "$0" "$kind"; then
            echo "llama.cpp ($kind) could not be installed: its columns stay empty. To try again: inference/examples/bench/install.sh $kind" >&2
        fi
    done
    exit 0
    ;;
*)
    echo "usage: install.sh native|avx2|all" >&2
    exit 2
    ;;
esac
mkdir -p "$root"
if "$venv/bin/python" -c "import llama_cpp, numpy, sys; sys.exit(llama_cpp.__version__ != '$release')" 2>/dev/null; then
    echo "$venv has llama-cpp-python $release"
    exit 0
fi
echo "compiling llama-cpp-python $release into $venv: ten minutes or more"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
export CMAKE_ARGS="${features[*]}" CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
nice -n 19 "$venv/bin/pip" install --quiet --no-cache-dir --no-binary llama-cpp-python "llama-cpp-python==$release" numpy
