"""What words.py types: values, whole lines and sizes that somebody might, each kind measured to have failed once."""

# As many to a line as fit.
# fmt: off

NAME = "x" * 300
VALUES = ["1000000000", "1000000000000000000000", "-1", "0", "1.5", "nan", "inf", "", "null", "[]", "[1]", "[1,[2]]", "{a:1}", NAME]
VALUES += [
    "true", "${seed}", "${nothing}", "${oc.env:HOME}", "${oc.env:NOTHING}", "${", "$", "\\", "'", '"', "[1,", "1e400", "=", "1=2",
]
VALUES += [
    "\x1b[31m", "a\nb", "ü", "/", ".", "..", "a b", "@", "[1000000000]", "[1,1000000000]", "[[[[[[1]]]]]]", "*", "-", "--help=1",
]
VALUES += ["/dev/full", "/dev/zero", "/dev/null", "/proc/self/mem", "last", "\udcff", "\ud800", "a\0b", "1" * 5000, "x" * 100_000]
VALUES += [
    "[" * 3000 + "]" * 3000, "{" * 500, "a/../b", "nowhere/x", "./", "choice(1,2)", "1,2", "x:y", "%s", "\t", "\u202e", "#", "!",
]

PREFIXES = ["", "", "", "", "+", "++", "~", "~~"]

LINES = (
    """
train|trainer=5
train|trainer=
train|model=5
train|model=[lstm]
train|model=[lstm,gru]
train|model=a,b
train|task=[copy]
train|task=[copy,turing]
train|optimizer=[adam,rmsprop]
train|model=${nothing}
train|task=${oc.env:HOME}
train|recipe=[a]
train|recipe=bogus
train|experiment=bogus
train|+experiment=bogus
train|+experiment=copy_graves
train|++experiment=copy_graves
train|+model=lstm
train|debug=bogus
train|model@foo=lstm
train|model@task=lstm
train|~model
train|~task
train|~trainer
train|~recipe
train|~optimizer
train|~experiment
train|~trainer.max_steps
train|~trainer.devices
train|~seed
train|~run_dir
train|~resume
train|~nothing
train|~nothing.at.all
train|~seed=0
train|~seed=1
evaluate|~json
evaluate|~run
evaluate|~slots
evaluate|~room
turing|~input
turing|~json
certify|~inputs
certify|~export
train|-m seed=0,a
train|-m seed=0,1 nonsense=1
train|-m nonsense=1,2
train|-m task=copy,bogus
train|-m model=lstm,5
train|-m seed=0,1 model.slots=12,3
train|seed=0,1 -m trainer.max_steps=1,0
train|seed=0,a
train|-m
train|-m -m seed=0,a
train|--multi seed=0,a
train|-m seed=range(0,1000000)
train|-m seed=0,1 run_dir=same
train|-m seed=0,1 resume=nowhere
train|-m seed=0,1 run_dir=..
train|-m seed=${nothing},1
train|-m seed=0,1 +foo=1
train|-m seed=0,1 ~model
train|-m seed=0,1 trainer.batch_size=1000000000
train|-m seed=choice(0
train|-m seed=glob(*)
train|-m seed=0,1 hydra.sweep.dir=/proc/x
train|-m seed=0,a hydra.sweep.dir=sweeps
train|-m seed=0,1 hydra/launcher=bogus
train|-m seed=0,1 hydra/sweeper=bogus
train|-m seed=0,1 hydra.run.dir=x
evaluate|-m lengths=[1],[0]
turing|-m machine=bb2,bogus
certify|-m run=bb2,bogus
train|--bogus
train|--cfg
train|--cfg bogus
train|--cfg job seed=a
train|--cfg job ++seed
train|--cfg hydra
train|--cfg job --resolve seed=${nothing}
train|--cfg job --package nothing
train|--cfg job -p task
train|--multirun
train|--help
train|--helpp
train|--version
train|--info
train|--info bogus
train|--resolve
train|-r
train|--shell-completion install=bash
train|--experimental-rerun x
train|--config-name nothing
train|--config-name evaluate
train|-cn evaluate
train|--config-path nowhere
train|--config-dir nowhere
train|-cd .
train|--config-dir
evaluate|--config-name train
train|=
train|==
train|~
train|+
train|++
train|a
train|model
train|seed
train|seed=
train|seed=0 seed=1 seed=x
train|seed=0 seed=1
train|model=lstm model=bogus
train|task=copy task=copy task=bogus
train|run_dir=a run_dir=..
train|task=binary_mul task.sweeps=0
train|task=turing turing=bb4 turing=bogus
train|task=turing turing=1RB
train|task=turing +turing=bb4
train|task=turing task.table=bogus
train|task=turing task.table={a:1}
train|task=turing task.table={table:{a:{0:[0,R,a]}}}
train|+task.foo=1
train|+model.foo=1
train|+model.heads.foo=1
train|+trainer.foo=1
train|+optimizer.foo=1
train|+foo=1
train|+foo.bar=1
train|++foo.bar=1
train|++task.foo.bar=1
train|++model.slots.foo=1
train|+turing=bb4
train|+slots=5
train|machine=bb2
train|+seed=1
train|model.slots={a:1}
train|trainer.max_steps=[1]
train|seed=${seed}
train|seed=${model.slots}
train|seed=${oc.env:HOME}
train|seed=${nothing}
train|run_dir=${nothing}
train|seed=${oc.nothing:1}
train|model=lstm model.slots=4
train|run_dir=
train|run_dir=.
train|run_dir=./
train|run_dir=..
train|run_dir=/
train|run_dir=a/..
train|run_dir=a/../..
train|run_dir=[1]
train|run_dir={a:1}
train|run_dir=/dev/null
train|run_dir=/dev/null/x
train|run_dir=/proc/x
train|run_dir=a/b/NAME
train|run_dir=NAME
train|run_dir=NAME/x
certify|export=
certify|export=.
certify|export=..
certify|export=/
certify|export=a/..
certify|export=[1]
certify|export=a/NAME
certify|export=/proc/x
certify|json=/dev/full
certify|json=
certify|json=.
certify|json=NAME
certify|inputs=bogus
certify|inputs=declared
certify|reference=bogus
certify|reference=bb3
certify|reference=binary_mul
turing|run_dir=
turing|run_dir=..
turing|run_dir=a/NAME
turing|json=/dev/full
turing|png=/dev/full
turing|png=NAME
turing|input=2
turing|input=0,1
turing|machine=universal simulate=bb2
turing|machine=universal simulate=bogus
turing|machine=universal simulate=bb2x3
turing|simulate=bb2
turing|path=fast
turing|path=dense max_steps=3
turing|max_steps=-1
turing|max_steps=1e3
turing|max_steps=1000000000000000000000
evaluate|task=copy
evaluate|model=lstm
evaluate|json=/dev/full
evaluate|png=/dev/full
evaluate|json=/dev/full png=/dev/full
evaluate|json=NAME
evaluate|json=nowhere/x
evaluate|png=..
evaluate|lengths=5
evaluate|lengths=[1000000000]
evaluate|lengths=[1,1000000000000000000]
evaluate|room=1000000000
evaluate|slots=1000000000
evaluate|slots=1000000000 lengths=[1000000000]
evaluate|slots=3
evaluate|room=5 slots=7
evaluate|sequences=1000000000000
evaluate|sequences=1000000000000000000000
train|hydra.run.dir=/proc/x
train|hydra.run.dir=made trainer.max_steps=0
train|hydra.output_subdir=made trainer.max_steps=0
train|hydra.sweep.dir=made trainer.max_steps=0
train|hydra.job.chdir=true trainer.max_steps=0
train|hydra/job_logging=default trainer.max_steps=0
train|hydra.bogus=1
train|hydra=1
train|~hydra
train|+hydra.foo=1
train|hydra.verbose=true trainer.max_steps=0
evaluate|hydra.run.dir=made lengths=[0]
turing|hydra.output_subdir=made machine=bogus
train|trainer.devices=2 trainer.batch_size=1
train|trainer.devices=3
train|trainer.devices=1000 trainer.batch_size=1000 trainer.val_sequences=1000
train|trainer.devices=2 trainer.num_nodes=1000000000
train|trainer.num_nodes=2
train|trainer.accelerator=gpu
train|trainer.accelerator=tpu
train|trainer.devices=0
train|trainer.devices=auto
train|trainer.strategy=fsdp
train|trainer.threads=1000
""".replace("NAME", NAME)
    .strip()
    .splitlines()
)

SIZES = [  # words with {n} for a size, and the words that they need beside them
    *(f"task.{key}" for key in ("lengths=[1,{n}]", "lengths=[{n},{n}]", "val_lengths=[{n}]", "test_lengths=[2,{n}]")),
    *(f"task.{key}" for key in ("probe_length={n}", "width={n}")),
    *(f"model.{key}" for key in ("slots={n}", "slot_width={n}", "shift_width={n}", "controller.hidden=[{n}]", "heads.read={n}")),
    *(f"model.{key}" for key in ("controller.hidden=[{n},{n}]", "controller.register={n}", "heads.write={n}")),
    *(
        f"trainer.{key}={{n}}"
        for key in ("threads", "batch_size", "val_sequences", "devices", "num_nodes", "max_steps", "log_every")
    ),
    *("curriculum.stages=[{n}]", "optimizer.half_life={n}", "seed={n}", "model.memory_value={n}"),
]
OTHERS = {
    "model=lstm": ["model.width={n}", "model.layers={n}"],
    "model=gru": ["model.width={n}", "model.layers={n}"],
    "model=transformer": ["model.width={n}", "model.heads={n}", "model.layers={n}", "task.probe_length={n}"],
    "model=ntm_lstm": ["model.controller.width={n}", "model.controller.layers={n}"],
    "model=tape": ["model.heads.count={n}", "model.heads.window=[{n}]", "model.slots={n}"],
    "task=repeat_copy": ["task.repeats=[1,{n}]", "task.normal_repeats=[1,{n}]", "task.width={n}"],
    "task=binary_mul": ["task.sweeps={n}", "task.lengths=[1,{n}]", "task.val_lengths=[{n}]"],
    "task=turing": ["task.lengths=[1,{n}]", "task.most_ticks={n}", "model.hidden=[{n}]", "task.test_lengths=[{n}]"],
}
EVALUATED = ["lengths=[{n}]", "slots={n}", "room={n}", "sequences={n}", "seed={n}"]
POWERS = [6, 7, 8, 9, 9, 9, 10, 12, 15, 18]
