//! Real programs under `leak run`: the same output and exit status as without, and logs that
//! open without loss.

use leak_tests::{Outcome, Run, command_or_skip};

/// Runs plainly and by `leak run`; stdout and status must be equal, and stderr too but for the
/// summary at its end.
fn unchanged(run: &Run) -> Outcome {
    let plain = run.plain();
    // Shown when the test fails, or with --nocapture.
    println!("{}\n{}{}", plain.status, plain.stdout, plain.stderr);
    let traced = run.by_leak_run(&["-o", "leak-logs/"]);
    assert_eq!(
        (traced.status, &traced.stdout),
        (plain.status, &plain.stdout),
        "stderr: {}",
        traced.stderr
    );
    assert!(
        traced.stderr.starts_with(&plain.stderr),
        "stderr: {} instead of {}",
        traced.stderr,
        plain.stderr
    );
    assert!(!traced.logs.is_empty(), "no log was written");
    for report in traced.reports() {
        let program = report.0["process"]["exe"].to_string();
        assert_eq!(report.number("loss.events_lost"), 0, "{program}");
        assert_eq!(report.number("loss.unmatched_frees"), 0, "{program}");
        report.assert_consistent();
    }
    traced
}

/// A shell script, which also shows that a shell works.
fn script(lines: &str) -> Run {
    Run::executable("/bin/bash")
        .args(["-c", lines])
        .env("HOME", "/nonexistent")
        .seconds(150)
}

#[test]
fn bash_is_unchanged() {
    unchanged(&script(
        "set -u; declare -A words; for i in {1..500}; do words[w$((i % 37))]=$i; done; echo ${#words[@]}\n\
         f() { local x=$1; [ $x -gt 0 ] && f $((x - 1)) || echo bottom; }; f 50\n\
         trap 'echo trapped' USR1; kill -USR1 $$; echo a b c | while read -r a b c; do echo \"$c $b $a\"; done\n\
         cat <(echo substituted); x=$(printf '%s\\n' {1..100} | sort -rn | head -3); echo $x; echo fault >&2; exit 9",
    ));
}

#[test]
fn ldd_is_unchanged() {
    if let Some(ldd) = command_or_skip("ldd") {
        // Addresses differ from run to run.
        let line = format!(
            "{} /bin/ls | sed 's/ (0x.*//' | sort; {0} /etc/passwd; echo status $?",
            ldd.display()
        );
        let run = script(&line);
        let plain = run.plain();
        let traced = run.by_leak_run(&["-o", "leak-logs/"]);
        assert_eq!(traced.status, plain.status);
        // ldd shows what is preloaded: that line is true.
        let without: Vec<&str> = traced
            .stdout
            .lines()
            .filter(|line| !line.contains("libleak"))
            .collect();
        let own_needs = ["libgcc_s", "libm.so", "libpthread", "libdl"];
        let plain_lines: Vec<&str> = plain.stdout.lines().collect();
        for line in &without {
            assert!(
                plain_lines.contains(line) || own_needs.iter().any(|name| line.contains(name)),
                "{line}"
            );
        }
        assert!(
            plain_lines.iter().all(|line| without.contains(line)),
            "{without:?}"
        );
    }
}

#[test]
fn git_is_unchanged() {
    if command_or_skip("git").is_some() {
        unchanged(&script(
            "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b \
             GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1 HOME=$PWD\n\
             mkdir work && cd work && git init -q -b main . && for i in 1 2 3 4 5; do echo line $i >> file; git add file; \
             git commit -qm \"change $i\"; done; git log --oneline | cat; git diff HEAD~3 | cat; git gc -q; git fsck; \
             git clone -q . ../copy && cd ../copy && git log -p --stat | sha1sum; git no-such-command; echo $?",
        ));
    }
}

#[test]
fn perl_is_unchanged() {
    if let Some(perl) = command_or_skip("perl") {
        let program = "my %h; $h{$_ % 101} .= chr(65 + $_ % 26) for 1..20000; print join(',', map { length $h{$_} } sort keys %h), qq{\\n}; \
             my @s = sort { $a cmp $b } map { scalar reverse } values %h; print substr($s[5], 0, 20), qq{\\n}; \
             my $p = fork // die; if (!$p) { print qq{child\\n}; exit 3 } waitpid $p, 0; print $? >> 8, qq{\\n}; print `echo backticks`; \
             warn qq{warned\\n}; exit 5";
        unchanged(&Run::executable(perl).args(["-e", program]));
    }
}

#[test]
fn python_is_unchanged() {
    if let Some(python) = command_or_skip("python3") {
        let program = "import json, re, subprocess, sys, threading, multiprocessing\n\
             data = [{'n': i, 's': 'x' * (i % 50)} for i in range(3000)]\n\
             print(len(json.dumps(json.loads(json.dumps(data)))), len(re.findall('x+', json.dumps(data))))\n\
             out = []\n\
             ts = [threading.Thread(target=lambda k=k: out.append(sum(range(k * 1000)))) for k in range(8)]\n\
             [t.start() for t in ts]; [t.join() for t in ts]; print(sorted(out))\n\
             print(subprocess.run(['echo', 'child'], capture_output=True).stdout)\n\
             ctx = multiprocessing.get_context('fork')\n\
             with ctx.Pool(2) as p: print(p.map(abs, range(-20, 0)))\n\
             print('fault', file=sys.stderr); sys.exit(6)\n";
        for allocator in ["pymalloc", "malloc"] {
            unchanged(
                &Run::executable(&python)
                    .args(["-c", program])
                    .env("PYTHONMALLOC", allocator),
            );
        }
    }
}

#[test]
fn node_is_unchanged() {
    if let Some(node) = command_or_skip("node") {
        let program = "const {execFileSync} = require('child_process'), {Worker} = require('worker_threads'), zlib = require('zlib'), crypto = require('crypto');\n\
             let o = {}; for (let i = 0; i < 20000; i++) o['k' + i % 997] = [i, String(i)];\n\
             console.log(Object.keys(JSON.parse(JSON.stringify(o))).length);\n\
             const z = zlib.gzipSync(Buffer.alloc(300000, 'abc')); console.log(zlib.gunzipSync(z).length);\n\
             console.log(crypto.createHash('sha256').update('leak').digest('hex'), execFileSync('echo', ['child']).toString());\n\
             new Worker('require(\"worker_threads\").parentPort.postMessage(new Array(1000).fill(7).reduce((a, b) => a + b))', {eval: true})\n\
               .on('message', m => { console.log(m); console.error('fault'); process.exitCode = 7; });";
        unchanged(&Run::executable(node).args(["-e", program]).seconds(120));
    }
}

#[test]
fn java_is_unchanged() {
    if let Some(java) = command_or_skip("java") {
        let source = "import java.util.*; import java.util.stream.*;\n\
             public class Main { public static void main(String[] a) throws Exception {\n\
               Map<Integer, StringBuilder> m = new TreeMap<>();\n\
               for (int i = 0; i < 200000; i++) m.computeIfAbsent(i % 1009, k -> new StringBuilder()).append(i % 10);\n\
               System.out.println(m.values().stream().mapToInt(StringBuilder::length).sum());\n\
               System.out.println(IntStream.range(0, 1000).parallel().mapToObj(Integer::toString).collect(Collectors.joining()).hashCode());\n\
               try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println(\"caught\"); }\n\
               Thread[] t = new Thread[20]; for (int i = 0; i < 20; i++) { t[i] = new Thread(() -> new byte[1000000].clone()); t[i].start(); }\n\
               for (Thread x : t) x.join(); System.gc(); System.exit(8); } }\n";
        unchanged(
            &Run::executable(java)
                .arg("Main.java")
                .file("Main.java", source)
                .seconds(150),
        );
    }
}

#[test]
fn compilers_make_the_same_objects() {
    unchanged(
        &script(
            "gcc -O2 -c one.c && g++ -O1 -c two.cc && g++ one.o two.o -o both && sha256sum one.o two.o both && ./both; echo $?; \
             gcc -c wrong.c; echo $?",
        )
        .file("one.c", "int square(int x) { int s = 0; for (int i = 0; i < x; i++) s += x; return s; }\n")
        .file(
            "two.cc",
            "#include <iostream>\n#include <map>\n#include <string>\n#include <vector>\nextern \"C\" int square(int);\n\
             int main() { std::map<int, std::vector<std::string>> m; for (int i = 0; i < 50; i++) m[i % 7].push_back(std::to_string(square(i)));\n\
             for (auto &[k, v] : m) std::cout << k << ' ' << v.size() << ' ' << v.back() << '\\n'; return 3; }\n",
        )
        .file("wrong.c", "int main( { return }\n"),
    );
}

#[test]
fn rustc_is_unchanged() {
    if let Some(rustc) = command_or_skip("rustc") {
        let line = format!(
            "{} -O --edition=2021 --crate-name one one.rs -o one 2>&1 && ./one; echo $?",
            rustc.display()
        );
        let home = std::env::var("HOME").unwrap_or_default();
        unchanged(&script(&line).env("HOME", home).file(
            "one.rs",
            "use std::collections::HashMap; fn main() { let mut m: HashMap<u32, Vec<String>> = HashMap::new(); \
             for i in 0..1000u32 { m.entry(i % 13).or_default().push(i.to_string()); } println!(\"{}\", m.len()); std::process::exit(2) }\n",
        ));
    }
}

#[test]
fn sqlite_is_unchanged() {
    if let Some(sqlite) = command_or_skip("sqlite3") {
        let statements = "create table t(a integer primary key, b text);\n\
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)\n\
             insert into t select i, printf('%08d-%s', i, hex(i * 7)) from n;\n\
             create index tb on t(b); select count(*), min(b), max(b) from t where b like '%77%';\n\
             select substr(b, 1, 5), count(*) from t group by 1 order by 2 desc, 1 limit 5;\n\
             delete from t where a % 3 = 0; vacuum; select sum(a) from t; select no_such_column from t;\n";
        unchanged(&Run::executable(sqlite).arg("base.db").input(statements));
    }
}

#[test]
fn make_and_its_children_are_unchanged() {
    if let Some(make) = command_or_skip("make") {
        let rules = "all: $(addsuffix .out,1 2 3 4 5 6 7 8 9)\n\t@cat $^ | sort\n%.out:\n\t@echo target $* > $@\n";
        unchanged(
            &Run::executable(make)
                .args(["-s", "-j4"])
                .file("Makefile", rules),
        );
    }
}

#[test]
fn redis_serves_a_benchmark_unchanged() {
    if let (Some(_), Some(_), Some(_)) = (
        command_or_skip("redis-server"),
        command_or_skip("redis-benchmark"),
        command_or_skip("redis-cli"),
    ) {
        unchanged(&script(
            "redis-server --port 0 --unixsocket $PWD/socket --save '' --logfile server.log --dir $PWD &\n\
             until redis-cli -s $PWD/socket ping >/dev/null 2>&1; do sleep 0.05; done\n\
             redis-benchmark -s $PWD/socket -n 20000 -c 20 -q -t set,get,lpush,lrange_100 >/dev/null 2>&1; echo benchmark $?\n\
             redis-cli -s $PWD/socket mset a 1 b 2; redis-cli -s $PWD/socket mget a b\n\
             redis-cli -s $PWD/socket eval 'local t = {} for i = 1, 1000 do t[i] = i end return #t' 0\n\
             redis-cli -s $PWD/socket save; redis-cli -s $PWD/socket bgrewriteaof >/dev/null\n\
             redis-cli -s $PWD/socket shutdown nosave; wait $!; echo server $?",
        ));
    }
}

#[test]
fn nginx_with_prefork_workers_serves_unchanged() {
    if let (Some(_), Some(_)) = (command_or_skip("nginx"), command_or_skip("curl")) {
        let configuration = "worker_processes 3; daemon off; pid server.pid; error_log error.log; user root;\n\
             events { worker_connections 64; }\n\
             http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n\
               gzip on; gzip_min_length 10; gzip_types text/plain;\n\
               server { listen unix:socket; default_type text/plain; location / { root files; } } }\n";
        unchanged(
            &script(
                "chmod 755 .; mkdir files; seq 1 5000 > files/numbers; echo small > files/small\n\
                 nginx -p $PWD -c $PWD/nginx.conf -e error.log 2>/dev/null & \n\
                 until curl -sf --unix-socket socket http://x/small >/dev/null; do sleep 0.05; done\n\
                 curl -s --unix-socket socket 'http://x/numbers?[1-300]' | sha1sum\n\
                 curl -s --compressed --unix-socket socket 'http://x/numbers?[1-100]' | sha1sum\n\
                 curl -s -o /dev/null -w '%{http_code}\\n' --unix-socket socket http://x/missing\n\
                 kill -HUP $(cat server.pid); curl -s --retry 3 --unix-socket socket http://x/small\n\
                 kill -QUIT $(cat server.pid); wait $!; echo server $?",
            )
            .file("nginx.conf", configuration),
        );
    }
}

#[test]
fn nginx_workers_that_drop_their_rights_serve_unchanged() {
    if !leak_tests::root_or_skip("workers of another user") {
        return;
    }
    if let (Some(_), Some(_)) = (command_or_skip("nginx"), command_or_skip("curl")) {
        let configuration = "worker_processes 2; daemon off; pid server.pid; error_log error.log; user nobody nogroup;\n\
             events { }\nhttp { access_log off; server { listen unix:socket; location / { return 200 'served\\n'; } } }\n";
        let run = script(
            "nginx -p $PWD -c $PWD/nginx.conf -e error.log 2>/dev/null & \n\
             until curl -sf --unix-socket socket http://x/ >/dev/null; do sleep 0.05; done\n\
             curl -s --unix-socket socket 'http://x/?[1-200]' | sha1sum\n\
             kill -QUIT $(cat server.pid); wait $!; echo server $?",
        )
        .file("nginx.conf", configuration);
        let plain = run.plain();
        let traced = run.by_leak_run(&["-o", "leak-logs/"]);
        assert_eq!(
            (traced.status, &traced.stdout),
            (plain.status, &plain.stdout),
            "stderr: {}",
            traced.stderr
        );
    }
}

#[test]
fn tools_of_the_system_are_unchanged() {
    unchanged(&script(
        "ls / | wc -l; seq 1 20000 | sort -R --random-source=/dev/zero | sort -n | tail -1; tar cf - /etc/passwd 2>/dev/null | tar tf -\n\
         find /usr/share/doc -maxdepth 1 | head -5 | wc -l; awk 'BEGIN { for (i = 0; i < 50000; i++) a[i % 97] = a[i % 97] i; print length(a[5]) }'\n\
         grep -c root /etc/passwd; sed -n 1p /etc/passwd; xz -9 < /etc/passwd | xz -d | cksum; gzip < /etc/passwd | gunzip | cksum; bc <<< '2^200' 2>/dev/null; date -u -d @0",
    ));
}

#[test]
fn setpriv_and_a_shell_of_another_user_are_unchanged() {
    if leak_tests::root_or_skip("setpriv") && command_or_skip("setpriv").is_some() {
        let run = script(
            "setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'id -u; id -g'; echo $?",
        );
        let plain = run.plain();
        let traced = run.by_leak_run(&["-o", "leak-logs/"]);
        assert_eq!(
            (traced.status, &traced.stdout),
            (plain.status, &plain.stdout),
            "stderr: {}",
            traced.stderr
        );
    }
}
