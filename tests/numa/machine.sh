# shellcheck shell=bash
# The machine with four nodes: QEMU in software, a kernel of Debian's cloud images, and a memory disk that holds the
# test programs with the libraries that they need. Sourced after scripts/lib.sh, never run.
#
#   node   memory     distances        the nodes are linked in pairs, and the pairs crosswise; node 0 has room for a
#   0      3328 MiB   10 16 22 32      page of 1 GiB, the others are small enough to be filled in a test
#   1       256 MiB   16 10 32 22
#   2       256 MiB   22 32 10 16
#   3       256 MiB   32 22 16 10

kernel_folder=$ROOT/target/numa
# What the machine may take of this one's memory, in MiB: a page of 1 GiB and what the tests fill.
machine_needs=2500

# Fails, and says why, when there can be no such machine here.
machine_is_to_be_had() {
    local tool
    [ "$(uname -m)" = x86_64 ] || { echo "the machine is for x86-64, and this is $(uname -m)"; return 1; }
    for tool in qemu-system-x86_64 busybox cpio; do
        command -v $tool >/dev/null || { echo "there is no $tool (scripts/setup.sh numa installs it)"; return 1; }
    done
    [ "$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -ge $machine_needs ] ||
        { echo "less than $machine_needs MiB of memory are free"; return 1; }
    kernel_is_there || { echo "no kernel for it can be fetched (apt-get download linux-image-cloud-amd64)"; return 1; }
}

kernel_is_there() { kernel >/dev/null || fetch_kernel; }
kernel() { compgen -G "$kernel_folder/boot/vmlinuz-*" | head -n 1 | grep .; }

# The package is unpacked, not installed: nothing outside of target/ knows of it. The one with a stable name only
# depends on the one with the kernel.
fetch_kernel() {
    local package
    command -v apt-get >/dev/null || return 1
    package=$(kernel_package) || { [ "$(id -u)" -eq 0 ] && apt-get update -qq && package=$(kernel_package); } || return 1
    rm -rf "$kernel_folder"
    mkdir -p "$kernel_folder"
    (cd "$kernel_folder" && apt-get download -qq "$package" && dpkg-deb --fsys-tarfile ./*.deb | tar -x ./boot && rm ./*.deb) >&2 &&
        kernel >/dev/null
}
kernel_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1 | grep .; }

# make_disk FOLDER PROGRAM...: FOLDER.gz boots into the programs, one after the other.
make_disk() {
    local folder=$1 program libraries
    shift
    rm -rf "$folder"
    mkdir -p "$folder"/{bin,tests,proc,sys,dev,tmp}
    cp "$(command -v busybox)" "$folder/bin/busybox"
    install -m 755 tests/numa/init "$folder/init"
    cp "$@" "$folder/tests/"
    # Under the paths by which the programs name them.
    libraries=$(for program in "$@"; do ldd "$program"; done | grep -o '/[^ ]*' | sort -u)
    # shellcheck disable=SC2086 # paths are words
    cp -L --parents $libraries "$folder"
    (cd "$folder" && find . | cpio --create --format=newc --quiet | gzip -1) >"$folder.gz"
}

# run_machine SECONDS DISK: what its console says.
run_machine() {
    local seconds=$1 disk=$2 node from to distance memory=() megabytes=(3328 256 256 256)
    for node in 0 1 2 3; do
        memory+=(-object "memory-backend-ram,id=m$node,size=${megabytes[node]}M"
            -numa "node,nodeid=$node,memdev=m$node,cpus=$node")
    done
    while read -r from to distance; do
        memory+=(-numa "dist,src=$from,dst=$to,val=$distance")
    done <<<$'0 1 16\n0 2 22\n0 3 32\n1 2 32\n1 3 22\n2 3 16'
    # A bus of node 2, with a port on it.
    memory+=(-device 'pxb-pcie,id=bus,bus_nr=100,numa_node=2,bus=pcie.0' -device 'pcie-root-port,id=devices,bus=bus,chassis=1')
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 4 -m 4096M \
        "${memory[@]}" -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -kernel "$(kernel)" -initrd "$disk" \
        -append 'console=ttyS0 panic=-1 nokaslr no_timer_check loglevel=1 psi=1 cgroup_no_v1=all hugepagesz=1G hugepages=0:1' </dev/null |
        stdbuf -oL tr -d '\r'
}
