package ostler

// #include "shim.h"
import "C"

import "syscall"

// Limit is what stood in the way of the pages that were asked for.
type Limit uint32

const (
	LimitNone            Limit = C.OSTLER_LIMIT_NONE
	LimitHugePagePool    Limit = C.OSTLER_LIMIT_HUGE_PAGE_POOL
	LimitHugetlbCgroup   Limit = C.OSTLER_LIMIT_HUGETLB_CGROUP
	LimitMemoryCgroup    Limit = C.OSTLER_LIMIT_MEMORY_CGROUP
	LimitNodeMemory      Limit = C.OSTLER_LIMIT_NODE_MEMORY
	LimitPolicyRefused   Limit = C.OSTLER_LIMIT_POLICY_REFUSED
	LimitTHPDisabled     Limit = C.OSTLER_LIMIT_THP_DISABLED
	LimitAddressSpace    Limit = C.OSTLER_LIMIT_ADDRESS_SPACE
	LimitPageSizeUnknown Limit = C.OSTLER_LIMIT_PAGE_SIZE_UNKNOWN
	LimitChunkTooSmall   Limit = C.OSTLER_LIMIT_CHUNK_TOO_SMALL
	LimitKernelTooOld    Limit = C.OSTLER_LIMIT_KERNEL_TOO_OLD
	LimitLockedMemory    Limit = C.OSTLER_LIMIT_LOCKED_MEMORY
	LimitNodeUnknown     Limit = C.OSTLER_LIMIT_NODE_UNKNOWN
	LimitOptionRefused   Limit = C.OSTLER_LIMIT_OPTION_REFUSED
	LimitNoCPU           Limit = C.OSTLER_LIMIT_NO_CPU
	LimitThreadRefused   Limit = C.OSTLER_LIMIT_THREAD_REFUSED
	LimitNotVerified     Limit = C.OSTLER_LIMIT_NOT_VERIFIED
	LimitGovernor        Limit = C.OSTLER_LIMIT_GOVERNOR // only in an Advice
)

// Options is what a chunk is beside its pages and nodes.
type Options uint32

const (
	OptionPrefaulted Options = C.OSTLER_OPTION_PREFAULTED
	OptionLocked     Options = C.OSTLER_OPTION_LOCKED
	OptionGuarded    Options = C.OSTLER_OPTION_GUARDED
	OptionNotForked  Options = C.OSTLER_OPTION_NOT_FORKED
	OptionNotDumped  Options = C.OSTLER_OPTION_NOT_DUMPED
	OptionNamed      Options = C.OSTLER_OPTION_NAMED
)

// PlacedBy is by what means pages come to their nodes.
type PlacedBy uint32

const (
	PlacedByKernel     PlacedBy = C.OSTLER_PLACED_BY_KERNEL // as the kernel likes
	PlacedByPolicy     PlacedBy = C.OSTLER_PLACED_BY_POLICY
	PlacedByFirstTouch PlacedBy = C.OSTLER_PLACED_BY_FIRST_TOUCH // where memory policies are refused
)

// Verification is how the kernel was asked.
type Verification uint32

const (
	VerifiedNot         Verification = C.OSTLER_VERIFIED_NOT
	VerifiedPagemapScan Verification = C.OSTLER_VERIFIED_PAGEMAP_SCAN
	VerifiedSmaps       Verification = C.OSTLER_VERIFIED_SMAPS
	VerifiedMovePages   Verification = C.OSTLER_VERIFIED_MOVE_PAGES
	VerifiedNumaMaps    Verification = C.OSTLER_VERIFIED_NUMA_MAPS
	VerifiedPagemap     Verification = C.OSTLER_VERIFIED_PAGEMAP
)

// Receipt is what one chunk asked for, what it got, and why.
type Receipt struct {
	AskedPages      PagePolicy
	AskedNodePolicy NodePolicy
	AskedNode       int
	AskedBytes      uint64
	AskedOptions    Options

	GotPages      PagePolicy
	GotNodePolicy NodePolicy
	GotOptions    Options
	NodeSet       []int // that GotNodePolicy stands for
	PlacedBy      PlacedBy
	PageBytes     uint64
	Address       uintptr
	MappedBytes   uint64
	ResidentBytes uint64
	HugeBytes     uint64

	PagesVerifiedBy, NodesVerifiedBy Verification
	UnverifiedErrno                  syscall.Errno // why one of them is VerifiedNot
	Nodes                            []ReceiptNode
	Steps                            []ReceiptStep
}

// ReceiptNode is how much of a chunk lies on a node.
type ReceiptNode struct {
	Node  int
	Bytes uint64
}

// ReceiptStep is one step down from what was asked for.
type ReceiptStep struct {
	Tried PagePolicy
	Limit Limit
	Errno syscall.Errno
}

func receiptOf(c *C.ostler_receipt) Receipt {
	receipt := Receipt{
		AskedPages: PagePolicy(c.asked_pages), AskedNodePolicy: NodePolicy(c.asked_node_policy),
		AskedNode: int(c.asked_node), AskedBytes: uint64(c.asked_bytes), AskedOptions: Options(c.asked_options),
		GotPages: PagePolicy(c.got_pages), GotNodePolicy: NodePolicy(c.got_node_policy),
		GotOptions: Options(c.got_options), NodeSet: members(&c.node_set), PlacedBy: PlacedBy(c.placed_by),
		UnverifiedErrno: syscall.Errno(c.unverified_errno),
		PageBytes:       uint64(c.page_bytes), Address: uintptr(c.address), MappedBytes: uint64(c.mapped_bytes),
		ResidentBytes: uint64(c.resident_bytes), HugeBytes: uint64(c.huge_bytes),
		PagesVerifiedBy: Verification(c.pages_verified_by), NodesVerifiedBy: Verification(c.nodes_verified_by),
	}
	for _, node := range c.nodes[:min(int(c.node_count), len(c.nodes))] {
		receipt.Nodes = append(receipt.Nodes, ReceiptNode{Node: int(node.node), Bytes: uint64(node.bytes)})
	}
	for _, step := range c.steps[:min(int(c.step_count), len(c.steps))] {
		receipt.Steps = append(receipt.Steps, ReceiptStep{
			Tried: PagePolicy(step.page_policy), Limit: Limit(step.limit), Errno: syscall.Errno(step.os_errno),
		})
	}
	return receipt
}
