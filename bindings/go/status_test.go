package ostler

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sentinels gives the statuses that status.go declares: the C name behind each, by its Go name.
func sentinels(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "status.go", nil, 0)
	succeeds(t, err)
	found := make(map[string]string)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, is := node.(*ast.ValueSpec)
		if !is {
			return true
		}
		if kind, is := spec.Type.(*ast.Ident); is && kind.Name == "Status" {
			found[spec.Names[0].Name] = spec.Values[0].(*ast.SelectorExpr).Sel.Name
		}
		return true
	})
	return found
}

func TestEveryStatusOfTheHeaderIsOneSentinel(t *testing.T) {
	header, err := os.ReadFile("../../include/ostler.h")
	succeeds(t, err)
	inGo := sentinels(t)
	defined := regexp.MustCompile(`(?m)^#define (OSTLER_E_[A-Z_]+) \(?(-\d+)\)?`).FindAllStringSubmatch(string(header), -1)
	if len(defined) < 27 {
		t.Fatalf("found %d statuses in the header", len(defined))
	}
	for _, one := range defined {
		name := one[1]
		camel := "Err"
		for _, word := range strings.Split(strings.TrimPrefix(name, "OSTLER_E_"), "_") {
			camel += word[:1] + strings.ToLower(word[1:])
		}
		if inGo[camel] != name {
			t.Errorf("%s of the header is %q in Go", name, inGo[camel])
		}
		delete(inGo, camel)
		number, err := strconv.Atoi(one[2])
		succeeds(t, err)
		if got := Status(number).Error(); got != name {
			t.Errorf("status %d is %s in the header, and the library names it %s", number, name, got)
		}
	}
	for name, inC := range inGo {
		t.Errorf("%s is %s, which the header does not have", name, inC)
	}
}

func TestErrorIsItsStatusAndItsCause(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("more: %w", &Error{Code: ErrTimeout, Message: "words", cause: cause})
	failsWith(t, err, ErrTimeout, cause)
	if errors.Is(err, ErrCancelled) {
		t.Error("a timeout is taken for a cancel")
	}
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != ErrTimeout || failed.Message != "words" {
		t.Errorf("errors.As gives %+v", failed)
	}
	var status Status
	if !errors.As(err, &status) || status != ErrTimeout {
		t.Errorf("errors.As gives the status %v", status)
	}
}

func TestWordsBelongToTheCallThatFailed(t *testing.T) {
	leavesNothing(t)
	const goroutines, times = 8, 200
	wrong := make(chan error, goroutines)
	for number := range goroutines {
		go func() {
			for range times {
				// Each names another value, and the goroutines change threads between their calls.
				_, err := NewArena(ArenaConfig{Source: PageSource{Pages: PagePolicy(1000 + number)}})
				if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), strconv.Itoa(1000+number)) {
					wrong <- fmt.Errorf("page policy %d: %v", 1000+number, err)
					return
				}
			}
			wrong <- nil
		}()
	}
	for range goroutines {
		if err := <-wrong; err != nil {
			t.Error(err)
		}
	}
}

func TestVersion(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(Version()) {
		t.Errorf("Version is %q", Version())
	}
}
