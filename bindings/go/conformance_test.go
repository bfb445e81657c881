package ostler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The conformance vectors of the pool (tests/conformance; their form is told in vectors.py there), played through this
// package. Nothing sleeps to be in time: that a goroutine waits is seen in the pool's numbers, and callbacks wait until
// the runner changes their conduct.

type vector struct {
	Name      string
	Rules     []string
	Pool      map[string]any
	Callbacks []string
	Behave    map[string]string
	Gives     string
	Says      string
	NotIn     map[string]string `json:"not_in"`
	Steps     []vectorStep
}

type vectorStep struct {
	Do        string
	On        string
	Starts    bool
	Again     bool
	Lease     string
	Leases    []string
	TimeoutMs *int `json:"timeout_ms"`
	Cancel    string
	Priority  string
	Tag       uint64
	MinSize   int `json:"min_size"`
	MaxSize   int `json:"max_size"`
	Conduct   map[string]string
	Numbers   map[string]uint64
	Events    []string
	Gives     string
	Says      string
	Resource  *uint64
	StillOut  *uint64 `json:"still_out"`
	Ready     *uint64
	Wanted    *uint64
	Trimmed   *uint64
	KeepIdle  int `json:"keep_idle"`
}

var priorities = map[string]Priority{"": PriorityNormal, "critical": PriorityCritical, "high": PriorityHigh,
	"normal": PriorityNormal, "low": PriorityLow, "batch": PriorityBatch}

func (s *vectorStep) labels() []string {
	if s.Lease != "" {
		return []string{s.Lease}
	}
	return s.Leases
}

// outcome is what came of a call.
type outcome struct {
	err                                        error
	resource, stillOut, ready, wanted, trimmed uint64
}

type played struct{ number int }

type play struct {
	pool *Pool[*played]

	lock    sync.Mutex
	changed sync.Cond
	conduct map[string]string
	held    uint64
	made    int
	users   map[int]int
	gone    map[int]int
	good    map[string]bool
	leases  map[string]Lease[*played]
	cancels map[string]cancelled
	events  []string
	faults  []string
	actors  map[string]*actor
}

type cancelled struct {
	ctx  context.Context
	stop context.CancelFunc
}

// actor is a named thread of a vector, and what the call that it was started with came to.
type actor struct {
	steps    chan *vectorStep
	outcomes chan outcome
}

const patience = 60 * time.Second

func (p *play) note(words ...any) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.events = append(p.events, strings.TrimSuffix(fmt.Sprintln(words...), "\n"))
}

// expect notes a fault for the end of the play, with the lock held.
func (p *play) expect(holds bool, format string, arguments ...any) {
	if !holds {
		p.faults = append(p.faults, fmt.Sprintf(format, arguments...))
	}
}

func (p *play) behave(conduct map[string]string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for callback, how := range conduct {
		p.conduct[callback] = how
	}
	p.changed.Broadcast()
}

// conductOf is the conduct of a callback that is called now.
func (p *play) conductOf(callback string) string {
	p.lock.Lock()
	if p.conduct[callback] == "holds" {
		p.held++
		for p.conduct[callback] == "holds" {
			p.changed.Wait()
		}
		p.held--
	}
	conduct := p.conduct[callback]
	switch conduct {
	case "fails_once", "closes", "destroys", "waits_warm", "acquires":
		p.conduct[callback] = "well"
	}
	p.lock.Unlock()
	switch conduct {
	case "fails_once":
		return "fails"
	case "closes":
		_, err := p.pool.Drain(context.Background())
		p.note("inside", statusOf(err))
	case "destroys":
		p.note("inside", statusOf(p.pool.Close()))
	case "waits_warm":
		_, _, err := p.pool.WaitWarm(context.Background())
		p.note("inside", statusOf(err))
	case "acquires":
		lease, err := p.pool.Acquire(context.Background())
		if err == nil {
			err = lease.Release()
		}
		p.note("inside", statusOf(err))
	default:
		return conduct
	}
	return "well"
}

func conducted(conduct string) error {
	switch conduct {
	case "fails":
		return errors.New("none today")
	case "throws":
		panic("thrown")
	}
	return nil
}

func (p *play) create() (*played, error) {
	if conduct := p.conductOf("create"); conduct != "well" {
		p.note("create", "failed")
		return nil, conducted(conduct)
	}
	p.lock.Lock()
	made := &played{number: p.made}
	p.made++
	p.lock.Unlock()
	p.note("created", made.number)
	return made, nil
}

// callback plays any of the others, which have the resource for themselves.
func (p *play) callback(name string, words [2]string, resource *played) error {
	p.beginUse(resource.number)
	conduct := p.conductOf(name)
	if conduct == "well" {
		p.note(words[0], resource.number)
	} else {
		p.note(words[1], resource.number)
	}
	p.endUse(resource.number)
	if name == "destroy" {
		p.lock.Lock()
		p.gone[resource.number]++
		p.lock.Unlock()
	}
	return conducted(conduct)
}

func (p *play) beginUse(resource int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.users[resource]++
	p.expect(p.users[resource] == 1, "%d use resource %d at once", p.users[resource], resource)
	p.expect(p.gone[resource] == 0, "resource %d is used after its end", resource)
}

func (p *play) endUse(resource int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.users[resource]--
}

func statusOf(err error) string {
	if err == nil {
		return "OSTLER_OK"
	}
	var failed *Error
	if errors.As(err, &failed) {
		return failed.Code.Error()
	}
	return err.Error()
}

func statusNamed(name string) string {
	if name == "" || name == "OK" {
		return "OSTLER_OK"
	}
	return "OSTLER_E_" + name
}

// poolConfig makes the configuration of a vector, whose fields have the names that they have in C.
func (p *play) poolConfig(vector *vector) (config PoolConfig[*played], err error) {
	into := reflect.ValueOf(&config).Elem()
	names := map[string]string{"keepalive": "KeepAlive"}
	for field, value := range vector.Pool {
		if order, isText := value.(string); isText {
			config.IdleOrder = map[string]IdleOrder{"last_used_first": LastUsedFirst, "longest_first": LongestFirst}[order]
			continue
		}
		field = strings.TrimSuffix(field, "_ns")
		name := names[field]
		for _, word := range strings.Split(field, "_") {
			if names[field] == "" {
				name += strings.ToUpper(word[:1]) + word[1:]
			}
		}
		target := into.FieldByName(name)
		switch {
		case !target.IsValid():
			return config, fmt.Errorf("there is no field %s", name)
		case target.CanInt():
			target.SetInt(int64(value.(float64)))
		default:
			target.SetUint(uint64(value.(float64)))
		}
	}
	config.Create = p.create
	for _, callback := range vector.Callbacks {
		switch callback {
		case "validate":
			config.Validate = func(r *played) error { return p.callback(callback, [2]string{"valid", "invalid"}, r) }
		case "reset":
			config.Reset = func(r *played) error { return p.callback(callback, [2]string{"reset", "not reset"}, r) }
		case "retag":
			config.Retag = func(r *played, _, _ uint64) error {
				return p.callback(callback, [2]string{"retagged", "not retagged"}, r)
			}
		}
	}
	config.Destroy = func(r *played) { _ = p.callback("destroy", [2]string{"destroyed", "destroyed"}, r) }
	return config, nil
}

// contextOf is the context of a wait, and what is to be called when it is over.
func (p *play) contextOf(step *vectorStep) (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if step.Cancel != "" {
		ctx = p.cancelOf(step.Cancel).ctx
	}
	if step.TimeoutMs == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(*step.TimeoutMs)*time.Millisecond)
}

func (p *play) cancelOf(label string) cancelled {
	p.lock.Lock()
	defer p.lock.Unlock()
	if _, found := p.cancels[label]; !found {
		ctx, stop := context.WithCancel(context.Background())
		p.cancels[label] = cancelled{ctx, stop}
	}
	return p.cancels[label]
}

func (p *play) leaseOf(label string) Lease[*played] {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.leases[label]
}

// leased notes what a step acquired.
func (p *play) leased(step *vectorStep, leases []Lease[*played], err error) outcome {
	if err != nil {
		return outcome{err: err}
	}
	came := outcome{}
	for i, label := range step.labels() {
		number := leases[i].Value().number
		p.beginUse(number)
		p.lock.Lock()
		p.leases[label], p.good[label] = leases[i], true
		p.lock.Unlock()
		if i == 0 {
			came.resource = uint64(number)
		}
	}
	return came
}

// givesBack notes that a good lease is about to end.
func (p *play) givesBack(label string) Lease[*played] {
	lease := p.leaseOf(label)
	p.lock.Lock()
	wasGood := p.good[label]
	p.good[label] = false
	p.lock.Unlock()
	if wasGood {
		p.endUse(lease.Value().number)
	}
	return lease
}

func (p *play) perform(step *vectorStep) outcome {
	ctx, over := p.contextOf(step)
	defer over()
	switch step.Do {
	case "acquire":
		if step.Priority != "" || step.Tag != 0 {
			lease, err := p.pool.AcquireWith(ctx, Demand{Priority: priorities[step.Priority], Tag: step.Tag})
			return p.leased(step, []Lease[*played]{lease}, err)
		}
		lease, err := p.pool.Acquire(ctx)
		for step.Again && errors.Is(err, ErrCreateFailed) {
			lease, err = p.pool.Acquire(ctx)
		}
		return p.leased(step, []Lease[*played]{lease}, err)
	case "try_acquire":
		lease, err := p.pool.TryAcquire()
		return p.leased(step, []Lease[*played]{lease}, err)
	case "acquire_n":
		leases, err := p.pool.AcquireN(ctx, len(step.Leases))
		return p.leased(step, leases, err)
	case "look":
		lease := p.leaseOf(step.Lease)
		return outcome{err: lease.Valid(), resource: uint64(lease.Value().number)}
	case "release":
		return outcome{err: p.givesBack(step.Lease).Release()}
	case "discard":
		return outcome{err: p.givesBack(step.Lease).Discard()}
	case "revoke":
		return outcome{err: p.leaseOf(step.Lease).Revoke()}
	case "trim":
		trimmed, err := p.pool.Trim(step.KeepIdle)
		return outcome{err: err, trimmed: uint64(trimmed)}
	case "pause":
		return outcome{err: p.pool.Pause()}
	case "resume":
		return outcome{err: p.pool.Resume()}
	case "refresh":
		return outcome{err: p.pool.Refresh()}
	case "resize":
		return outcome{err: p.pool.Resize(step.MinSize, step.MaxSize)}
	case "wait_warm":
		ready, wanted, err := p.pool.WaitWarm(ctx)
		return outcome{err: err, ready: uint64(ready), wanted: uint64(wanted)}
	case "close":
		stillOut, err := p.pool.Drain(ctx)
		p.note("close", statusOf(err))
		return outcome{err: err, stillOut: stillOut}
	case "destroy":
		err := p.pool.Close()
		p.note("destroy", statusOf(err))
		return outcome{err: err}
	case "signal":
		p.cancelOf(step.Cancel).stop()
		return outcome{}
	}
	return outcome{err: fmt.Errorf("there is no call %q", step.Do)}
}

// start has a step made by the thread that it names. The pool tells its callers apart by their threads.
func (p *play) start(step *vectorStep) {
	one := p.actors[step.On]
	if one == nil {
		one = &actor{steps: make(chan *vectorStep), outcomes: make(chan outcome, 1)}
		p.actors[step.On] = one
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for step := range one.steps {
				one.outcomes <- p.perform(step)
			}
		}()
	}
	one.steps <- step
}

func (p *play) ended(on string) outcome {
	select {
	case came := <-p.actors[on].outcomes:
		return came
	case <-time.After(patience):
		return outcome{err: errors.New("it goes on and on")}
	}
}

func (p *play) check(step *vectorStep, came outcome) error {
	if statusOf(came.err) != statusNamed(step.Gives) {
		return fmt.Errorf("gives %s, not %s: %v", statusOf(came.err), statusNamed(step.Gives), came.err)
	}
	if step.Says != "" && !strings.Contains(came.err.Error(), step.Says) {
		return fmt.Errorf("%q does not say %q", came.err.Error(), step.Says)
	}
	for _, number := range []struct {
		what   string
		wanted *uint64
		got    uint64
	}{
		{"the resource", step.Resource, came.resource}, {"still_out", step.StillOut, came.stillOut},
		{"ready", step.Ready, came.ready}, {"wanted", step.Wanted, came.wanted}, {"trimmed", step.Trimmed, came.trimmed},
	} {
		if number.wanted != nil && *number.wanted != number.got {
			return fmt.Errorf("%s is %d, not %d", number.what, number.got, *number.wanted)
		}
	}
	return nil
}

// checkNumbers says which number is not as it should be.
func (p *play) checkNumbers(numbers map[string]uint64) error {
	var stats PoolStats
	if _, only := numbers["held"]; !only || len(numbers) > 1 {
		var err error
		if stats, err = p.pool.Stats(); err != nil {
			return err
		}
	}
	for name, wanted := range numbers {
		var got uint64
		if name == "held" {
			p.lock.Lock()
			got = p.held
			p.lock.Unlock()
		} else {
			inGo := ""
			for _, word := range strings.Split(name, "_") {
				inGo += strings.ToUpper(word[:1]) + word[1:]
			}
			field := reflect.ValueOf(stats).FieldByName(inGo)
			if !field.IsValid() {
				return fmt.Errorf("there is no number %s", inGo)
			}
			got = field.Uint()
		}
		if got != wanted {
			return fmt.Errorf("%s is %d, not %d", name, got, wanted)
		}
	}
	return nil
}

func (p *play) checkEvents(wanted []string) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	happened := p.events
	p.events = nil
	for i := 0; i < len(happened) || i < len(wanted); i++ {
		switch {
		case i == len(wanted):
			return fmt.Errorf("%q happened, and was not to", happened[i])
		case i == len(happened):
			return fmt.Errorf("%q did not happen", wanted[i])
		case happened[i] != wanted[i]:
			return fmt.Errorf("%q happened, not %q", happened[i], wanted[i])
		}
	}
	return nil
}

func (p *play) awaitClosed() error {
	for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
		lease, err := p.pool.TryAcquire()
		if errors.Is(err, ErrClosed) {
			return nil
		}
		if err == nil {
			_ = lease.Release()
		}
	}
	return errors.New("it is not closed")
}

func (p *play) step(step *vectorStep) (err error) {
	switch step.Do {
	case "behave":
		p.behave(step.Conduct)
		return nil
	case "ended":
		return p.check(step, p.ended(step.On))
	case "await":
		for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
			if err = p.checkNumbers(step.Numbers); err == nil {
				return nil
			}
		}
		return err
	case "await_closed":
		return p.awaitClosed()
	case "numbers":
		return p.checkNumbers(step.Numbers)
	case "events":
		return p.checkEvents(step.Events)
	}
	if step.On == "" {
		return p.check(step, p.perform(step))
	}
	p.start(step)
	if step.Starts {
		return nil
	}
	return p.check(step, p.ended(step.On))
}

// abandon ends a play that went wrong, so that it leaves nothing.
func (p *play) abandon() {
	p.behave(map[string]string{"create": "well", "validate": "well", "reset": "well", "retag": "well", "destroy": "well"})
	if p.pool != nil {
		_ = p.pool.Close()
	}
	p.lock.Lock()
	var good []string
	for label := range p.leases {
		if p.good[label] {
			good = append(good, label)
		}
	}
	p.lock.Unlock()
	for _, label := range good {
		_ = p.givesBack(label).Release()
	}
}

// playVector plays a vector and says what was not as it should be.
func playVector(vector *vector) error {
	p := &play{
		conduct: map[string]string{"create": "well", "validate": "well", "reset": "well", "retag": "well", "destroy": "well"},
		users:   map[int]int{}, gone: map[int]int{}, good: map[string]bool{}, leases: map[string]Lease[*played]{},
		cancels: map[string]cancelled{}, actors: map[string]*actor{},
	}
	p.changed.L = &p.lock
	p.behave(vector.Behave)
	config, err := p.poolConfig(vector)
	if err != nil {
		return err
	}
	p.pool, err = NewPool(config)
	if err := p.check(&vectorStep{Gives: vector.Gives, Says: vector.Says}, outcome{err: err}); err != nil {
		p.abandon()
		return fmt.Errorf("the pool: %w", err)
	}
	defer func() {
		for _, actor := range p.actors {
			close(actor.steps)
		}
		for _, cancelled := range p.cancels {
			cancelled.stop()
		}
	}()
	for i := range vector.Steps {
		if err := p.step(&vector.Steps[i]); err != nil {
			p.abandon()
			return fmt.Errorf("step %d (%s): %w", i+1, vector.Steps[i].Do, err)
		}
	}
	if p.pool != nil {
		if err := p.pool.Close(); err != nil {
			return err
		}
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	for resource := range p.made {
		p.expect(p.gone[resource] == 1, "resource %d was destroyed %d times", resource, p.gone[resource])
	}
	if len(p.faults) > 0 {
		return errors.New(strings.Join(p.faults, "; "))
	}
	return nil
}

func vectorsIn(t *testing.T, pattern string) (vectors []vector) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "tests", "conformance", pattern))
	succeeds(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		succeeds(t, err)
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		var more []vector
		if err := decoder.Decode(&more); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors = append(vectors, more...)
	}
	if len(vectors) == 0 {
		t.Fatalf("no vector in %s", pattern)
	}
	return vectors
}

func TestConformance(t *testing.T) {
	leavesNothing(t)
	for _, vector := range vectorsIn(t, "*.json") {
		if _, elsewhere := vector.NotIn["go"]; elsewhere {
			continue
		}
		t.Run(vector.Name, func(t *testing.T) {
			if err := playVector(&vector); err != nil {
				t.Error(err)
			}
		})
	}
}

// The runner tells each of the vectors that expect something wrong.
func TestConformanceOfTheRunner(t *testing.T) {
	leavesNothing(t)
	for _, vector := range vectorsIn(t, filepath.Join("wrong", "*.json")) {
		if err := playVector(&vector); err == nil {
			t.Errorf("%s is played without a fault", vector.Name)
		}
	}
}
