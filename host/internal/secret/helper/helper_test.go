package helper_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/helper"
	"github.com/batonhost/baton-host/sandbox/canary"
)

const (
	// canarySecret is what helpers write; it must be in no error.
	canarySecret = "c4n4ry-h3lper/5f1e9a+77d0"
	// environmentCanary is in a variable that a helper may see.
	environmentCanary = "c4n4ry-env1ronment-0b6d2f"
	environmentName   = "HELPER_TEST_TOKEN"
	hiddenName        = "HELPER_TEST_HIDDEN"
	// asHelper has the test's binary behave as a helper.
	asHelper = "as-helper"
	// patience is that of helpers which are expected to end by themselves.
	patience = 2 * time.Minute
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == asHelper {
		os.Exit(behaviors[os.Args[2]](os.Args[3:]))
	}
	_ = os.Setenv(environmentName, environmentCanary)
	_ = os.Setenv(hiddenName, canarySecret)
	os.Exit(m.Run())
}

// behaviors are those of helpers, with their arguments and their exit status.
var behaviors = map[string]func(args []string) int{
	"arguments": func(args []string) int { return write(os.Stdout, strings.Join(args, "|")) },
	"environment": func([]string) int {
		return write(os.Stdout, strings.Join(os.Environ(), "\n"))
	},
	"stdin": func([]string) int {
		content, err := io.ReadAll(os.Stdin)
		return write(os.Stdout, fmt.Sprint(len(content), err))
	},
	"chatty": func([]string) int {
		for range 2 << 10 {
			write(os.Stderr, strings.Repeat("x", 1023)+"\n")
		}
		return write(os.Stdout, canarySecret)
	},
	"hang": func([]string) int {
		write(os.Stdout, canarySecret)
		time.Sleep(time.Hour)
		return 0
	},
	"flood": func([]string) int {
		for {
			if write(os.Stdout, canarySecret) != 0 {
				return 1
			}
		}
	},
	"fail": func([]string) int {
		write(os.Stdout, "token: "+canarySecret+"\n")
		write(os.Stderr, "starting\n\x1b[31mlogin "+canarySecret+" with "+environmentCanary+" expired\n\n")
		return 3
	},
	"fail at length": func([]string) int {
		write(os.Stdout, canarySecret)
		write(os.Stderr, strings.Repeat("x", 4<<10-10)+canarySecret)
		return 3
	},
	"print":               func(args []string) int { return write(os.Stdout, decoded(args[0])) },
	"complain":            func(args []string) int { write(os.Stderr, decoded(args[0])); return 1 },
	"fail silently":       func([]string) int { return 1 },
	"fail with an answer": func([]string) int { write(os.Stdout, `{"error":"no such item","away":false}`); return 1 },
}

// outputs are what helpers write that do nothing else.
var outputs = map[string]string{
	"raw":                canarySecret,
	"line":               canarySecret + "\r\n",
	"marked":             "\xef\xbb\xbf" + canarySecret + "\n\n",
	"lines":              "-----BEGIN-----\n" + canarySecret + "\n-----END-----\n",
	"another object":     `{"password":"` + canarySecret + `"}`,
	"other case":         `{"Value":"` + canarySecret + `"}`,
	"list":               `["value"]`,
	"cut object":         `{"value":"` + canarySecret,
	"full":               strings.Repeat("x", 1<<20),
	"object":             `{"value":"` + canarySecret + `","issued-at":"2031-02-03T03:05:06Z","expires-at":"2031-02-03T04:05:06Z","version":"v7"}` + "\n",
	"marked object":      "\xef\xbb\xbf" + ` {"value":"` + canarySecret + `\n","version":null,"error":null}`,
	"unknown keys":       `{"id":"x","value":"` + canarySecret + `","attributes":{"enabled":true}}`,
	"two objects":        `{"value":"` + canarySecret + `"} {"value":"y"}`,
	"no text":            `{"value":{"a":"` + canarySecret + `"}}`,
	"null":               `{"value":null}`,
	"half a character":   `{"value":"` + canarySecret + `\ud800"}`,
	"version":            `{"value":"` + canarySecret + `","version":7}`,
	"expires":            `{"value":"` + canarySecret + `","expires-at":"tomorrow"}`,
	"expires, number":    `{"value":"` + canarySecret + `","expires-at":7}`,
	"empty object":       `{"value":""}`,
	"error":              `{"error":"the item was deleted\u001b[2J"}`,
	"error, away":        `{"error":"log in again","away":true}`,
	"error, no text":     `{"error":{"code":401,"token":"` + canarySecret + `"}}`,
	"error with a token": `{"error":"bad ` + environmentCanary + `"}`,
	"nothing":            "",
	"line ends":          "\r\n\n",
	"binary":             canarySecret + "\xff\xfe",
	"NUL":                canarySecret + "\x00",
	"UTF-16":             "\xff\xfec\x004\x00",
	"large":              strings.Repeat(canarySecret, 2<<20/len(canarySecret)),
}

func init() {
	for name, output := range outputs {
		behaviors[name] = func([]string) int { return write(os.Stdout, output) }
	}
}

// decoded returns an argument that is in hexadecimal.
func decoded(argument string) string {
	text, _ := hex.DecodeString(argument)
	return string(text)
}

func write(to io.Writer, text string) (status int) {
	if _, err := io.WriteString(to, text); err != nil {
		return 1
	}
	return 0
}

// resolve resolves a reference to a helper of a behavior, with arguments.
func resolve(t *testing.T, behavior, arguments string, timeout time.Duration) (secret.Value, error) {
	t.Helper()
	return settle(t, helper.Settings{
		Path: os.Args[0], Args: []string{asHelper, behavior}, Env: []string{environmentName}, Timeout: timeout,
	}, arguments)
}

func settle(t *testing.T, settings helper.Settings, arguments string) (secret.Value, error) {
	t.Helper()
	store := helper.New(map[string]helper.Settings{"one": settings})
	require.NoError(t, store.Check("one "+arguments))
	return store.Resolve(t.Context(), "one "+arguments)
}

func TestHelper_ReturnsWhatAProgramWrites(t *testing.T) {
	t.Parallel()
	expires := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	for behavior, want := range map[string]struct {
		text, version string
		expires       time.Time
	}{
		"raw":            {text: canarySecret},
		"line":           {text: canarySecret},
		"marked":         {text: canarySecret},
		"lines":          {text: "-----BEGIN-----\n" + canarySecret + "\n-----END-----"},
		"another object": {text: outputs["another object"]},
		"other case":     {text: outputs["other case"]},
		"list":           {text: outputs["list"]},
		"cut object":     {text: outputs["cut object"]},
		"full":           {text: outputs["full"]},
		"chatty":         {text: canarySecret},
		"object":         {canarySecret, "v7", expires},
		"marked object":  {text: canarySecret},
		"unknown keys":   {text: canarySecret},
		"stdin":          {text: "0 <nil>"},
	} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			value, err := resolve(t, behavior, "", patience)
			require.NoError(t, err)
			require.Equal(t, want.text, value.Text.Reveal())
			require.Equal(t, want.version, value.Version)
			require.True(t, want.expires.Equal(value.Expires), value.Expires)
			if !want.expires.IsZero() {
				require.Equal(t, time.Hour, value.Expires.Sub(value.Issued))
			}
		})
	}
}

func TestHelper_ReportsWhatIsWrongAndNotTheSecret(t *testing.T) {
	t.Parallel()
	for behavior, c := range map[string]struct {
		want   string
		isAway bool
	}{
		"nothing":             {want: "the value is empty"},
		"line ends":           {want: "the value is empty"},
		"empty object":        {want: "the value is empty"},
		"binary":              {want: "the program wrote what is not UTF-8 text"},
		"UTF-16":              {want: "the program wrote what is not UTF-8 text"},
		"NUL":                 {want: "the value has a NUL in it, so it is no text"},
		"large":               {want: "the program wrote more than 1 MiB and was ended; no secret is that large"},
		"flood":               {want: "the program wrote more than 1 MiB and was ended; no secret is that large"},
		"two objects":         {want: "the program wrote a JSON object and more behind it; it must write one object, or the secret as it is"},
		"no text":             {want: `the "value" of the program's JSON object is no text`},
		"null":                {want: `the "value" of the program's JSON object is no text`},
		"half a character":    {want: `the "value" of the program's JSON object has a character that is none`},
		"version":             {want: `the "version" of the program's JSON object is no text`},
		"expires":             {want: `the "expires-at" of the program's JSON object is no time as in 2030-01-31T12:00:00Z (RFC 3339)`},
		"expires, number":     {want: `the "expires-at" of the program's JSON object is no time as in 2030-01-31T12:00:00Z (RFC 3339)`},
		"error":               {want: `the item was deleted\x1b[2J`},
		"error, away":         {"log in again", true},
		"error, no text":      {want: "the program wrote a JSON object with an error that is no text"},
		"error with a token":  {want: "bad (secret)"},
		"fail with an answer": {want: "no such item"},
		"fail":                {`the program failed with exit status 3: \x1b[31mlogin (secret) with (secret) expired`, true},
		"fail silently":       {"the program failed with exit status 1, and wrote no reason to standard error", true},
	} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			value, err := resolve(t, behavior, "", patience)
			require.EqualError(t, err, c.want)
			require.Equal(t, c.isAway, secret.IsAway(err))
			require.Empty(t, value.Text.Reveal())
			require.Empty(t, canary.Find([]byte(err.Error()), canarySecret))
		})
	}
}

func TestHelper_ShowsNoBeginningOfASecret(t *testing.T) {
	t.Parallel()
	_, err := resolve(t, "fail at length", "", patience)
	require.ErrorContains(t, err, "the program failed with exit status 3: xxx")
	require.Less(t, len(err.Error()), 600)
	require.Empty(t, canary.Find([]byte(err.Error()), canarySecret))
}

func TestHelper_EndsOneThatHangs(t *testing.T) {
	t.Parallel()
	_, err := resolve(t, "hang", "", time.Second)
	require.EqualError(t, err, "the program did not end within 1s and was ended, with what it had started; it must not wait for a person")
	require.True(t, secret.IsAway(err))

	ctx, cancel := context.WithCancelCause(t.Context())
	store := helper.New(map[string]helper.Settings{"one": {Path: os.Args[0], Args: []string{asHelper, "hang"}, Timeout: patience}})
	time.AfterFunc(time.Second, func() { cancel(errors.New("over")) })
	_, err = store.Resolve(ctx, "one")
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, secret.IsAway(err))
}

func TestHelper_ReportsAProgramThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	for name, c := range map[string]struct{ path, want string }{
		"missing":        {filepath.Join(dir, "none"), "the program cannot be started: there is no such program, or not the interpreter that it names: "},
		"not executable": {file("plain", "#!/bin/sh\n", 0o600), "the program cannot be started: it may not be executed; make it executable (chmod +x)"},
		"a directory":    {dir, "the program cannot be started: it is a directory, not a program"},
		"no program":     {file("text", "echo\n", 0o700), "the program cannot be started: it is a script whose first line names no interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settle(t, helper.Settings{Path: c.path, Timeout: patience}, "")
			require.ErrorContains(t, err, c.want)
			require.False(t, secret.IsAway(err))
		})
	}
}

func TestHelper_SplitsArguments(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"":                              "",
		"  a  b\tc ":                    "a|b|c",
		`op://vault/item/field`:         "op://vault/item/field",
		`--key='a "b" c' d`:             `--key=a "b" c|d`,
		`"it's" x"y z"w`:                "it's|xy zw",
		`'' ""`:                         "|",
		`a\ b`:                          `a\|b`,
		`$(id) ; echo`:                  "$(id)|;|echo",
		"--query 'SecretString' ü'ü ü'": "--query|SecretString|üü ü",
	} {
		t.Run(written, func(t *testing.T) {
			t.Parallel()
			value, err := resolve(t, "arguments", written, patience)
			if want == "" {
				require.EqualError(t, err, "the value is empty")
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, value.Text.Reveal())
		})
	}
}

func TestHelper_ChecksNames(t *testing.T) {
	t.Parallel()
	store := helper.New(map[string]helper.Settings{"onepassword": {}, "gcloud": {}})
	for name, want := range map[string]string{
		"onepassword x": "",
		"'gcloud' y":    "",
		"one-password":  `${exec:…} names a helper that is not under secret-helpers; did you mean "onepassword"?`,
		"gclod secrets": `${exec:…} names a helper that is not under secret-helpers; did you mean "gcloud"?`,
		"vault":         "${exec:…} names a helper that is not under secret-helpers",
		"gcloud 'x":     "a quotation in ${exec:…} is not closed",
		"  ":            "${exec:…} needs the name of a helper behind the colon",
	} {
		err := store.Check(name)
		if want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, want)
		_, err = store.Resolve(t.Context(), name)
		require.EqualError(t, err, want)
	}
}

func TestHelper_SeesNoOtherVariables(t *testing.T) {
	t.Parallel()
	value, err := resolve(t, "environment", "", patience)
	require.NoError(t, err)
	require.Contains(t, value.Text.Reveal(), environmentName+"="+environmentCanary)
	require.Contains(t, value.Text.Reveal(), "PATH=")
	require.NotContains(t, value.Text.Reveal(), hiddenName)
}

func TestAWS_ChecksNames(t *testing.T) {
	t.Parallel()
	store := helper.AWS{Service: helper.SecretsManager}
	for name, want := range map[string]string{
		"prod/app":  "",
		"app#token": "",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-AbCdEf#a b": "",
		"rds!cluster-1": "",
		"/path/to_it:3": "",
		"two words":     "a reference to AWS takes the name, the path or the ARN of a secret: letters, digits and /_+=.@:!- only",
		"#token":        "a reference to AWS takes the name, the path or the ARN of a secret: letters, digits and /_+=.@:!- only",
		"app#":          "a reference to AWS needs the name of a field of the JSON secret behind the #",
	} {
		err := store.Check(name)
		if want == "" {
			require.NoError(t, err, name)
		} else {
			require.EqualError(t, err, want, name)
		}
	}
}

func TestAWS_ReportsAMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := helper.AWS{Service: helper.SecretsManager}.Resolve(t.Context(), "app")
	require.EqualError(t, err, "the program that asks AWS, baton-host-aws, is neither beside baton-host nor along PATH; install it from the same release")
	require.False(t, secret.IsAway(err))
}

// TestHelper_ShowsNoKnownValue that it, or another reference, has returned before, nor what
// stands beside its error.
func TestHelper_ShowsNoKnownValue(t *testing.T) {
	t.Parallel()
	const failed = "the program failed with exit status 1"
	const reported = "the program reported an error; the log has it"
	for name, c := range map[string]struct{ behavior, text, want, words string }{
		"standard error":              {"complain", "login failed: password=" + canarySecret, failed + ": login failed: password=(secret)", failed},
		"standard error, cut":         {"complain", strings.Repeat("x", 390) + canarySecret, failed + ": " + strings.Repeat("x", 390) + "(secret)", failed},
		"an error":                    {"print", `{"error":"cannot use ` + canarySecret + ` now"}`, "cannot use (secret) now", reported},
		"an error, cut":               {"print", `{"error":"` + strings.Repeat("x", 390) + canarySecret + `"}`, strings.Repeat("x", 390) + "(secret)", reported},
		"its own value":               {"print", `{"error":"new-7c1d is bad","value":"new-7c1d"}`, "(secret) is bad", reported},
		"its own value, short":        {"print", `{"error":"t0k9 is bad","value":"t0k9"}`, "(secret) is bad", reported},
		"its own value, away":         {"print", `{"error":"new-7c1d","value":"new-7c1d","away":true}`, "(secret)", reported},
		"its own value, in a list":    {"print", `{"error":"new-7c1d","value":["new-7c1d"]}`, "(secret)", reported},
		"another key of its own":      {"print", `{"error":"new-7c1d","token":"new-7c1d"}`, "(secret)", reported},
		"nothing to standard error":   {"complain", "", failed + ", and wrote no reason to standard error", failed + ", and wrote no reason to standard error"},
		"an error without any values": {"print", `{"error":"no such item","value":""}`, "no such item", reported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			helpers := map[string]helper.Settings{}
			for _, behavior := range []string{"print", "complain"} {
				helpers[behavior] = helper.Settings{Path: os.Args[0], Args: []string{asHelper, behavior}, Timeout: patience}
			}
			resolver := secret.NewResolver(map[string]secret.Store{secret.SchemeExec: helper.New(helpers), "known": known(canarySecret)})
			expand := func(text string) []error {
				template, errs := secret.Parse(text)
				require.Empty(t, errs)
				_, errs = resolver.Round().Expand(t.Context(), template)
				return errs
			}
			require.Empty(t, expand("${known:token}"))
			// No reference has a brace.
			hexadecimal := fmt.Sprintf("%x", c.text)
			errs := expand("${exec:" + c.behavior + " '" + hexadecimal + "'}")
			require.Len(t, errs, 1)
			unresolved, ok := errors.AsType[*secret.ReferenceError](errs[0])
			require.True(t, ok)
			require.EqualError(t, unresolved.Err, c.want)
			require.Equal(t, unresolved.Reference.String()+": "+c.words, unresolved.Public())
		})
	}
}

// known is a store in which every name stands for this text.
type known string

func (known) Check(string) error { return nil }

func (k known) Resolve(context.Context, string) (secret.Value, error) {
	return secret.Value{Text: secret.New(string(k))}, nil
}
