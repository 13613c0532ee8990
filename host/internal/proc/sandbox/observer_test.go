package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNeeds_ListsWhatBelongsIntoTheConfiguration(t *testing.T) {
	t.Parallel()
	opens := func(key, value string) Denial { return Denial{Access: key, Object: value, Key: key, Value: value} }
	for name, c := range map[string]struct {
		denials []Denial
		want    Needed
		block   string
	}{
		"nothing": {},
		"a file, once": {
			[]Denial{opens("read", "/etc/krb5.conf"), opens("read", "/etc/krb5.conf")},
			Needed{Read: []string{"/etc/krb5.conf"}},
			"sandbox:\n  read: [/etc/krb5.conf]",
		},
		"nothing in what is opened anyway": {
			[]Denial{opens("read", "/data/b"), opens("read", "/data"), opens("read", "/data-2/x"), opens("write", "/cache"), opens("read", "/cache/x"), opens("write", "/cache/y")},
			Needed{Read: []string{"/data", "/data-2/x"}, Write: []string{"/cache"}},
			"sandbox:\n  read: [/data, /data-2/x]\n  write: [/cache]",
		},
		"a port": {
			[]Denial{opens("connect", "636"), opens("connect", "443")},
			Needed{Connect: []string{"443", "636"}},
			"sandbox:\n  connect: [443, 636]",
		},
		"a name with signs": {
			[]Denial{opens("read", "/a b/\x1b[31m, c]")},
			Needed{Read: []string{"/a b/\x1b[31m, c]"}},
			"sandbox:\n  read: [\"/a b/\\x1b[31m, c]\"]",
		},
		"what no key opens": {
			[]Denial{{Access: "call of the kernel", Object: "bpf", Hint: "why"}, {Access: "read", Object: "/proc/1/mem"}},
			Needed{Denied: []string{"call of the kernel: bpf (why)", "read: /proc/1/mem"}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs := &Needs{}
			for _, denial := range c.denials {
				needs.Denied(denial)
			}
			require.Equal(t, c.want, needs.Needed())
			require.Equal(t, c.block, needs.Needed().Block())
		})
	}
	blind := &Needs{}
	blind.Blind("first")
	blind.Blind("second")
	require.Equal(t, Needed{Unobserved: "first"}, blind.Needed())
}

func TestReported_NamesADirectoryAfterItsSecondFile(t *testing.T) {
	t.Parallel()
	r := newReported()
	var got []string
	for _, d := range []Denial{
		{Key: "read", Value: "/data/a"},
		{Key: "read", Value: "/data/a"},
		{Key: "read", Value: "/data/b"},
		{Key: "read", Value: "/data/c/d"},
		{Key: "write", Value: "/data/a"},
		{Key: "read", Value: "/wide/a"},
		{Key: "read", Value: "/wide/b"},
		{Key: "write", Value: "/cache"},
		{Key: "read", Value: "/cache/x"},
		{Access: "call of the kernel", Object: "bpf"},
		{Access: "call of the kernel", Object: "bpf"},
	} {
		if one, isNew := r.note(d, func(dir string) bool { return dir == "/wide" || dir == "/" }); isNew {
			got = append(got, one.Key+one.Access+" "+one.Value+one.Object)
		}
	}
	require.Equal(t, []string{"read /data/a", "read /data", "write /data/a", "read /wide/a", "read /wide/b", "write /cache", "call of the kernel bpf"}, got)
	require.False(t, r.isFull())
}
