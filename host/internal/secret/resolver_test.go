package secret_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/sandbox/canary"
)

// canarySecret is what references resolve to; it must be in no error.
const canarySecret = "c4n4ry-r3ference/3e9f0b71+2"

// shelf is a store of a test. It counts how often each name is asked for.
type shelf struct {
	answer func(ctx context.Context, name string) (secret.Value, error)

	mu    sync.Mutex
	asked map[string]int
}

func newShelf(answer func(ctx context.Context, name string) (secret.Value, error)) *shelf {
	return &shelf{answer: answer, asked: map[string]int{}}
}

// Check refuses one name.
func (s *shelf) Check(name string) error {
	if name == "malformed" {
		return errors.New("this store takes other names")
	}
	return nil
}

func (s *shelf) Resolve(ctx context.Context, name string) (secret.Value, error) {
	s.mu.Lock()
	s.asked[name]++
	s.mu.Unlock()
	return s.answer(ctx, name)
}

func (s *shelf) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

// constant is a store in which every name stands for a text.
func constant(text string) *shelf {
	return newShelf(func(context.Context, string) (secret.Value, error) {
		return secret.Value{Text: secret.New(text)}, nil
	})
}

func parse(t *testing.T, text string) secret.Template {
	t.Helper()
	template, errs := secret.Parse(text)
	require.Empty(t, errs)
	return template
}

// expand resolves a text in a round of its own, with one store.
func expand(t *testing.T, store secret.Store, text string) (secret.Expansion, []error) {
	t.Helper()
	return secret.NewResolver(map[string]secret.Store{"shelf": store}).Round().Expand(t.Context(), parse(t, text))
}

func TestTemplate_HasItsReferencesInOrder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                               nil,
		"$${env:A} $ {env:B} $C":         nil,
		"a ${env:A} b${file:./x y}c":     {"${env:A}", "${file:./x y}"},
		"${exec:op read 'op://a/b c'}":   {"${exec:op read 'op://a/b c'}"},
		"${vault-2:kv/app#to:ken}":       {"${vault-2:kv/app#to:ken}"},
		"${shelf:${env:A}}":              {"${shelf:${env:A}"}, // It refers to nothing else.
		"${env:A}${env:A}$${x}${env:B}}": {"${env:A}", "${env:A}", "${env:B}"},
	} {
		template := parse(t, text)
		var got []string
		for _, reference := range template.References() {
			got = append(got, reference.String())
		}
		require.Equal(t, want, got, text)
		require.Equal(t, want == nil, template.IsLiteral(), text)
	}
}

func TestTemplate_IsNotPrinted(t *testing.T) {
	t.Parallel()
	template := parse(t, "Bearer "+canarySecret+"${env:A}")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.Equal(t, "(secret)", fmt.Sprintf(verb, template), verb)
	}
}

func TestTemplate_IsEqualAsItIsWritten(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "b", "${env:A}", "${env:B}", "${file:A}", "a${env:A}", "${env:A}a", "${env:A}${env:A}", "$${env:A}"}
	for i, one := range texts {
		for j, other := range texts {
			require.Equal(t, i == j, parse(t, one).Equal(parse(t, other)), "%q, %q", one, other)
		}
	}
}

func TestParse_ReportsWhatIsMalformedAndDoesNotRepeatIt(t *testing.T) {
	t.Parallel()
	const unknown = "unknown reference: write ${env:NAME}, ${file:PATH}, ${exec:HELPER …} or ${STORE:…} of a store under secret-stores, and $${ for a literal ${"
	for text, want := range map[string][]string{
		"${" + canarySecret:                      {`a reference is not closed: "}" is missing; write $${ for a literal ${`},
		"${" + canarySecret + "}":                {unknown},
		"${C4N4RY-UPPER:x}":                      {unknown},
		"${:x}":                                  {unknown},
		"${env:" + canarySecret + "}":            {"${env:NAME} takes the name of an environment variable: letters, digits and _"},
		"${env:}":                                {"${env:NAME} takes the name of an environment variable: letters, digits and _"},
		"${file:}":                               {"${file:PATH} takes the path of a file"},
		"${shelf: }":                             {"a reference needs the name of what it refers to behind the colon"},
		"${file:} ${env:A} ${shelf:} ${env:B":    {"${file:PATH} takes the path of a file", "a reference needs the name of what it refers to behind the colon", `a reference is not closed: "}" is missing; write $${ for a literal ${`},
		canarySecret + "${}" + canarySecret + "": {unknown},
	} {
		template, errs := secret.Parse(text)
		var got []string
		for _, err := range errs {
			got = append(got, err.Error())
			require.Empty(t, canary.Find([]byte(err.Error()), canarySecret))
		}
		require.Equal(t, want, got, text)
		_ = template
	}
}

func TestReferences_ReturnsVariablesAndFiles(t *testing.T) {
	t.Parallel()
	variables, files, err := secret.References("${env:A}-${file:f}-${shelf:x}${env:B}")
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B"}, variables)
	require.Equal(t, []string{"f"}, files)
	_, _, err = secret.References("${env:}")
	require.Error(t, err)
}

func TestResolver_ChecksWithoutAsking(t *testing.T) {
	t.Parallel()
	store := constant("x")
	resolver := secret.NewResolver(map[string]secret.Store{"shelf": store})
	require.Empty(t, resolver.Check(parse(t, "a${shelf:x}")))
	errs := resolver.Check(parse(t, "${shelf:malformed} ${other:x} ${shelf:y}"))
	require.Len(t, errs, 2)
	require.EqualError(t, errs[0], "this store takes other names")
	require.ErrorContains(t, errs[1], "unknown reference: ")
	require.Empty(t, store.asked)

	// Neither does a round ask for what is malformed.
	_, errs = resolver.Round().Expand(t.Context(), parse(t, "${shelf:malformed}"))
	require.Len(t, errs, 1)
	require.Empty(t, store.asked)
}

func TestRound_ReplacesReferencesAndTakesValuesAsTheyAre(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                           "plain",
		"Bearer ${shelf:a}":               "Bearer ${shelf:a}-value",
		"${shelf:a}${shelf:b}$${shelf:c}": "${shelf:a}-value${shelf:b}-value${shelf:c}",
	} {
		store := newShelf(func(_ context.Context, name string) (secret.Value, error) {
			return secret.Value{Text: secret.New("${shelf:" + name + "}-value"), Version: "v-" + name}, nil
		})
		expansion, errs := expand(t, store, text)
		require.Empty(t, errs)
		require.Equal(t, want, expansion.Text.Reveal())
		for _, resolved := range expansion.Resolved {
			require.Equal(t, "v-"+resolved.Reference.Name, resolved.Version)
		}
		require.Len(t, expansion.Resolved, len(parse(t, text).References()))
	}
}

func TestRound_ResolvesEachReferenceOnce(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	values := 0
	store := newShelf(func(context.Context, string) (secret.Value, error) {
		<-goOn
		values++ // Without a lock: the race detector finds two at a time.
		return secret.Value{Text: secret.New(fmt.Sprint("v", values))}, nil
	})
	resolver := secret.NewResolver(map[string]secret.Store{"shelf": store})
	round := resolver.Round()
	var asking sync.WaitGroup
	texts := make([]string, 8)
	for i := range texts {
		asking.Go(func() {
			expansion, errs := round.Expand(t.Context(), parse(t, "${shelf:a}"))
			require.Empty(t, errs)
			texts[i] = expansion.Text.Reveal()
		})
	}
	close(goOn)
	asking.Wait()
	for _, text := range texts {
		require.Equal(t, "v1", text)
	}
	require.Equal(t, 1, store.count("a"))

	expansion, errs := resolver.Round().Expand(t.Context(), parse(t, "${shelf:a}"))
	require.Empty(t, errs)
	require.Equal(t, "v2", expansion.Text.Reveal(), "another round asks again")
}

func TestRound_KeepsAFailure(t *testing.T) {
	t.Parallel()
	store := newShelf(func(context.Context, string) (secret.Value, error) {
		return secret.Value{}, &secret.AwayError{Err: errors.New("sealed")}
	})
	round := secret.NewResolver(map[string]secret.Store{"shelf": store}).Round()
	for range 2 {
		_, errs := round.Expand(t.Context(), parse(t, "${shelf:a}"))
		require.Len(t, errs, 1)
		require.EqualError(t, errs[0], "${shelf:a}: sealed")
		require.True(t, secret.IsAway(errs[0]))
		reference, ok := errors.AsType[*secret.ReferenceError](errs[0])
		require.True(t, ok)
		require.Equal(t, secret.Reference{Scheme: "shelf", Name: "a"}, reference.Reference)
	}
	require.Equal(t, 1, store.count("a"))
}

func TestRound_NamesTheReferenceAndNotTheValue(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(canarySecret, 2<<20/len(canarySecret)+1)
	for name, c := range map[string]struct {
		value  secret.Value
		err    error
		want   string
		isAway bool
	}{
		"empty":   {want: "${shelf:a}: the value is empty"},
		"2 MiB":   {value: secret.Value{Text: secret.New(large)}, want: "${shelf:a}: the value is larger than 1 MiB"},
		"refused": {value: secret.Value{Text: secret.New(canarySecret)}, err: errors.New("permission denied"), want: "${shelf:a}: permission denied"},
		"away":    {err: fmt.Errorf("asked: %w", &secret.AwayError{Err: errors.New("no route")}), want: "${shelf:a}: asked: no route", isAway: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newShelf(func(context.Context, string) (secret.Value, error) { return c.value, c.err })
			expansion, errs := expand(t, store, "x${shelf:a}")
			require.Len(t, errs, 1)
			require.EqualError(t, errs[0], c.want)
			require.Equal(t, c.isAway, secret.IsAway(errs[0]))
			require.Empty(t, expansion.Resolved)
			require.NotContains(t, expansion.Text.Reveal(), canarySecret)
		})
	}
}

func TestRound_BoundsAllValuesTogether(t *testing.T) {
	t.Parallel()
	store := constant(strings.Repeat("x", secret.MaxValue))
	round := secret.NewResolver(map[string]secret.Store{"shelf": store}).Round()
	for range 32 {
		_, errs := round.Expand(t.Context(), parse(t, "${shelf:a}"))
		require.Empty(t, errs)
	}
	_, errs := round.Expand(t.Context(), parse(t, "${shelf:a}"))
	require.Len(t, errs, 1)
	require.EqualError(t, errs[0], "${shelf:a}: all references together resolve to more than 32 MiB")
}

// A caller that leaves is answered at once, and another one asks again.
func TestRound_EndsWithItsCaller(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	store := newShelf(func(ctx context.Context, _ string) (secret.Value, error) {
		select {
		case asked <- struct{}{}:
			<-ctx.Done()
			return secret.Value{}, ctx.Err()
		default:
			return secret.Value{Text: secret.New("late")}, nil
		}
	})
	round := secret.NewResolver(map[string]secret.Store{"shelf": store}).Round()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, errs := round.Expand(ctx, parse(t, "${shelf:a}"))
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], context.Canceled)
	require.True(t, secret.IsAway(errs[0]))

	expansion, errs := round.Expand(t.Context(), parse(t, "${shelf:a}"))
	require.Empty(t, errs)
	require.Equal(t, "late", expansion.Text.Reveal())
	require.Equal(t, 2, store.count("a"))
}

// token returns a JSON web token with this payload and no signature.
func token(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(payload)) + ".c2ln"
}

func TestRound_ReadsTheExpiryOfTokens(t *testing.T) {
	t.Parallel()
	at := time.Unix(1900000000, 0)
	for name, c := range map[string]struct {
		text string
		want time.Time
	}{
		"token":          {token(`{"sub":"x","exp":1900000000}`), at},
		"with its begin": {token(`{"iat":1899990000,"exp":1900000000}`), at},
		"fraction":       {token(`{"exp":1900000000.9}`), at},
		"no exp":         {token(`{"sub":"x"}`), time.Time{}},
		"text":           {token(`{"exp":"1900000000"}`), time.Time{}},
		"negative":       {token(`{"exp":-5}`), time.Time{}},
		"beyond":         {token(`{"exp":1e300}`), time.Time{}},
		"no payload":     {"eyJh.!!.x", time.Time{}},
		"two parts":      {"eyJh.eyJleHAiOjE5MDAwMDAwMDB9", time.Time{}},
		"no token":       {"a." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1900000000}`)) + ".b", time.Time{}},
		"something else": {"hunter2", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expansion, errs := expand(t, constant(c.text), "${shelf:a}")
			require.Empty(t, errs)
			require.True(t, c.want.Equal(expansion.Expires()), expansion.Expires())
			require.Equal(t, name == "with its begin", !expansion.Resolved[0].Issued.IsZero())
			require.NotZero(t, expansion.Resolved[0].Read)
		})
	}
}

func TestRound_PrefersTheExpiryOfTheStore(t *testing.T) {
	t.Parallel()
	first, later := time.Unix(1800000000, 0), time.Unix(1850000000, 0)
	store := newShelf(func(_ context.Context, name string) (secret.Value, error) {
		value := secret.Value{Text: secret.New(token(`{"exp":1900000000}`)), Expires: later}
		if name == "first" {
			value.Expires = first
		}
		return value, nil
	})
	expansion, errs := expand(t, store, "${shelf:a} ${shelf:first}")
	require.Empty(t, errs)
	require.Equal(t, first, expansion.Expires())
	require.Equal(t, later, expansion.Resolved[0].Expires)
}

func TestEarliest_CountsZeroAsNever(t *testing.T) {
	t.Parallel()
	first, later := time.Unix(1, 0), time.Unix(2, 0)
	require.Equal(t, first, secret.Earliest(first, later))
	require.Equal(t, first, secret.Earliest(later, first))
	require.Equal(t, later, secret.Earliest(time.Time{}, later))
	require.Equal(t, later, secret.Earliest(later, time.Time{}))
	require.True(t, secret.Earliest(time.Time{}, time.Time{}).IsZero())
}

func TestPlain_ReturnsTextWithoutItsLineEnd(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{"x": "x", " x \r\n\n": " x ", "\xef\xbb\xbfx\ny\n": "x\ny"} {
		text, err := secret.Plain(written)
		require.NoError(t, err)
		require.Equal(t, want, text.Reveal())
	}
	for written, want := range map[string]string{
		"":                      "the value is empty",
		"\r\n":                  "the value is empty",
		canarySecret + "\xff":   "the value is not UTF-8 text",
		canarySecret + "\x00\n": "the value has a NUL in it, so it is no text",
	} {
		text, err := secret.Plain(written)
		require.EqualError(t, err, want)
		require.Empty(t, text.Reveal())
	}
}

// loggedIn is a store with a login.
type loggedIn struct {
	*shelf
	closing func(ctx context.Context)
	tried   error
}

func (l loggedIn) Try(context.Context) error { return l.tried }

func (l loggedIn) Close(ctx context.Context) { l.closing(ctx) }

// TestResolver_ClosesInTime: stores that do not answer hold up no end, and not each other.
func TestResolver_ClosesInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := loggedIn{shelf: constant("x"), closing: func(ctx context.Context) { <-ctx.Done() }}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		secret.NewResolver(map[string]secret.Store{"one": hangs, "two": hangs, "none": constant("x")}).Close(ctx, nil)
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

func TestRound_StopsWaitingForAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newShelf(func(ctx context.Context, _ string) (secret.Value, error) {
			<-ctx.Done()
			return secret.Value{}, errors.New("cut off: " + canarySecret)
		})
		start := time.Now()
		_, errs := expand(t, store, "${shelf:a}")
		require.Len(t, errs, 1)
		require.EqualError(t, errs[0], "${shelf:a}: the store did not answer within 20s")
		require.True(t, secret.IsAway(errs[0]))
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

// TestResolver_BlanksKnownValuesInErrors of its stores, whichever reference had them.
func TestResolver_BlanksKnownValuesInErrors(t *testing.T) {
	t.Parallel()
	const retired, other, short = "retired-9d1c07aa", "other-77b2e0f4", "abc"
	report := func(text string) error {
		return &secret.ReportedError{Err: errors.New("it failed: " + text), Words: "it failed"}
	}
	for name, c := range map[string]struct {
		err         error
		want, words string
		isAway      bool
	}{
		"in use":            {report("password=" + canarySecret), "it failed: password=(secret)", "it failed", false},
		"retired":           {report(retired), "it failed: (secret)", "it failed", false},
		"another reference": {report(other), "it failed: (secret)", "it failed", false},
		"in base64":         {report(base64.RawStdEncoding.EncodeToString([]byte(other))), "it failed: (secret)", "it failed", false},
		"away":              {&secret.AwayError{Err: report(canarySecret)}, "it failed: (secret)", "it failed", true},
		"wrapped":           {fmt.Errorf("%s: %w", canarySecret, report(other)), "(secret): it failed: (secret)", "it failed", false},
		"in the words":      {&secret.ReportedError{Err: errors.New("it failed"), Words: canarySecret}, "it failed", "(secret)", false},
		"no report":         {errors.New(canarySecret + " is not there"), "(secret) is not there", "(secret) is not there", false},
		"too short":         {report(short), "it failed: abc", "it failed", false},
		"nothing of them":   {report("no such item"), "it failed: no such item", "it failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{"a": retired, "b": other, "c": short}
			store := loggedIn{shelf: newShelf(func(_ context.Context, name string) (secret.Value, error) {
				if text, ok := values[name]; ok {
					return secret.Value{Text: secret.New(text)}, nil
				}
				return secret.Value{}, c.err
			}), tried: c.err}
			resolver := secret.NewResolver(map[string]secret.Store{"shelf": store})
			for _, a := range []string{retired, canarySecret} {
				values["a"] = a
				_, errs := resolver.Round().Expand(t.Context(), parse(t, "${shelf:a}${shelf:b}${shelf:c}"))
				require.Empty(t, errs)
			}
			reloaded := secret.NewResolver(map[string]secret.Store{"shelf": store})
			reloaded.Follow(resolver)
			for _, asks := range []*secret.Resolver{resolver, reloaded} {
				_, errs := asks.Round().Expand(t.Context(), parse(t, "${shelf:none}"))
				require.Len(t, errs, 1)
				require.EqualError(t, errs[0], "${shelf:none}: "+c.want)
				unresolved, ok := errors.AsType[*secret.ReferenceError](errs[0])
				require.True(t, ok)
				require.Equal(t, "${shelf:none}: "+c.words, unresolved.Public())
				require.Equal(t, c.isAway, secret.IsAway(errs[0]))
				for err := errs[0]; err != nil; err = errors.Unwrap(err) {
					require.Empty(t, canary.Find([]byte(err.Error()), canarySecret), "what it wraps")
				}
				require.EqualError(t, asks.Try(t.Context())["shelf"], c.want)
			}
		})
	}
}

// TestResolver_RemembersABoundedNumberOfValues of a reference, the newest.
func TestResolver_RemembersABoundedNumberOfValues(t *testing.T) {
	t.Parallel()
	const rotations = 40
	value := func(i int) string { return fmt.Sprintf("rotated-%02d-value", i) }
	turn := 0
	store := newShelf(func(context.Context, string) (secret.Value, error) {
		if turn++; turn <= rotations {
			return secret.Value{Text: secret.New(value(turn))}, nil
		}
		return secret.Value{}, errors.New(value(1) + " " + value(rotations-31) + " " + value(rotations))
	})
	resolver := secret.NewResolver(map[string]secret.Store{"shelf": store})
	for range rotations {
		_, errs := resolver.Round().Expand(t.Context(), parse(t, "${shelf:a}"))
		require.Empty(t, errs)
	}
	_, errs := resolver.Round().Expand(t.Context(), parse(t, "${shelf:a}"))
	require.EqualError(t, errors.Join(errs...), "${shelf:a}: "+value(1)+" (secret) (secret)")
}
