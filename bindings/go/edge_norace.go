//go:build !race

package ostler

// edge is for the race detector; see edge_race.go.
type edge struct{}

func (*edge) released() {}

func (*edge) leased() {}
