package ostler

import (
	"strings"
	"testing"
)

func TestABadConfigurationIsNamed(t *testing.T) {
	leavesNothing(t)
	orchestrator, err := NewOrchestrator(OrchestratorConfig{})
	succeeds(t, err)
	closes(t, orchestrator)

	create := func() (int, error) { return 0, nil }
	pool := func(config PoolConfig[int]) error { _, err := NewPool(config); return err }
	arena := func(config ArenaConfig) error { _, err := NewArena(config); return err }
	model := func(config ModelConfig[int]) error {
		if config.Load == nil && config.Run == nil {
			config.Load = func(int) (int, error) { return 0, nil }
			config.Run = func(int, []*Item) error { return nil }
		}
		_, err := NewModel(orchestrator, config)
		return err
	}
	for name, test := range map[string]struct {
		err   error
		words []string
	}{
		"no create":              {pool(PoolConfig[int]{}), []string{"Create"}},
		"negative minimum":       {pool(PoolConfig[int]{Create: create, MinSize: -1}), []string{"MinSize", "-1"}},
		"minimum above maximum":  {pool(PoolConfig[int]{Create: create, MinSize: 9, MaxSize: 3}), []string{"min_size", "9"}},
		"negative timeout":       {pool(PoolConfig[int]{Create: create, IdleTimeout: -1e9}), []string{"IdleTimeout", "-1s"}},
		"negative interval":      {pool(PoolConfig[int]{Create: create, ValidateAfter: -1}), []string{"ValidateAfter"}},
		"too long a name":        {arena(ArenaConfig{Name: strings.Repeat("n", 32)}), []string{"Name", "32", "31"}},
		"a name with a zero":     {arena(ArenaConfig{Name: "a\x00b"}), []string{"Name"}},
		"negative chunk":         {arena(ArenaConfig{ChunkBytes: -5}), []string{"ChunkBytes", "-5"}},
		"negative limit":         {arena(ArenaConfig{LimitBytes: -6}), []string{"LimitBytes", "-6"}},
		"negative node":          {arena(ArenaConfig{Source: PageSource{Node: -1}}), []string{"Node", "-1"}},
		"unknown page policy":    {arena(ArenaConfig{Source: PageSource{Pages: 77}}), []string{"page_policy", "77"}},
		"negative workers":       {model(ModelConfig[int]{MinWorkers: -3}), []string{"MinWorkers", "-3"}},
		"minimum above maximum ": {model(ModelConfig[int]{MinWorkers: 3, MaxWorkers: 2}), []string{"max_workers", "2"}},
		"no load":                {model(ModelConfig[int]{Run: func(int, []*Item) error { return nil }}), []string{"Load"}},
		"no run":                 {model(ModelConfig[int]{Load: func(int) (int, error) { return 0, nil }}), []string{"Run"}},
	} {
		t.Run(name, func(t *testing.T) {
			failsWith(t, test.err, ErrInvalidArgument)
			for _, word := range test.words {
				if !strings.Contains(test.err.Error(), word) {
					t.Errorf("%q does not say %q", test.err, word)
				}
			}
		})
	}
}
