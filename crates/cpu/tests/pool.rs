//! The thread pool: every task once, from any number of callers, whatever tasks do.
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use tslip_cpu::pool::pool;

/// Twice this is a normal number; it is not.
const SUBNORMAL: f32 = 1e-39;

fn counts(tasks: usize) -> Vec<AtomicUsize> {
    (0..tasks).map(|_| AtomicUsize::new(0)).collect()
}

#[test]
fn every_task_runs_once_under_a_worker_index_that_nobody_else_has() {
    for tasks in [0, 1, 2, 3, 64, 1000] {
        let (done, inside) = (counts(tasks), counts(pool().workers()));
        let result = pool().run(tasks, &|task, worker| {
            assert_eq!(inside[worker].fetch_add(1, Ordering::SeqCst), 0, "worker {worker} is in two tasks");
            done[task].fetch_add(1, Ordering::SeqCst);
            inside[worker].fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(result, Ok(()));
        assert!(done.iter().all(|n| n.load(Ordering::SeqCst) == 1), "{tasks} tasks: {done:?}");
    }
}

#[test]
fn a_panic_becomes_an_error_and_all_other_tasks_still_run() {
    for tasks in [1, 2, 50] {
        let done = counts(tasks);
        let result = pool().run(tasks, &|task, _| {
            done[task].fetch_add(1, Ordering::SeqCst);
            assert!(task != tasks / 2, "task {task} fails on purpose");
        });
        assert_eq!(result, Err(format!("task {} fails on purpose", tasks / 2)));
        assert!(done.iter().all(|n| n.load(Ordering::SeqCst) == 1), "{tasks} tasks: {done:?}");
    }
    assert_eq!(pool().run(8, &|_, _| ()), Ok(()), "the pool goes on");
}

/// Panics as it is dropped, as what a task throws may.
struct ThrowsAgain;

impl Drop for ThrowsAgain {
    fn drop(&mut self) {
        panic!("thrown again");
    }
}

#[test]
fn what_is_thrown_again_as_it_is_dropped_ends_neither_the_call_nor_a_worker() {
    for tasks in [1, 50] {
        let done = counts(tasks);
        let result = pool().run(tasks, &|task, _| {
            done[task].fetch_add(1, Ordering::SeqCst);
            std::panic::panic_any(ThrowsAgain);
        });
        assert_eq!(result, Err("no message".into()));
        assert!(done.iter().all(|n| n.load(Ordering::SeqCst) == 1), "{tasks} tasks: {done:?}");
    }
    assert_eq!(pool().run(8, &|_, _| ()), Ok(()), "the pool goes on");
}

#[test]
fn callers_on_several_threads_do_not_disturb_one_another() {
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let own = AtomicUsize::new(0);
                    let result = pool().run(7, &|task, _| {
                        own.fetch_add(task, Ordering::SeqCst);
                    });
                    assert_eq!((result, own.into_inner()), (Ok(()), 21));
                    total.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 800);
}

#[test]
fn a_task_may_use_the_pool_itself() {
    let sum = AtomicUsize::new(0);
    let result = pool().run(5, &|_, outer| {
        let inner = pool().run(6, &|task, worker| {
            assert_eq!(worker, outer, "an inner task stays with the worker of the outer one");
            sum.fetch_add(task, Ordering::SeqCst);
        });
        assert_eq!(inner, Ok(()));
    });
    assert_eq!((result, sum.into_inner()), (Ok(()), 75));
}

#[test]
fn work_that_comes_after_a_pause_is_found() {
    for pause in [0, 1, 20] {
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let done = counts(32);
        let result = pool().run(32, &|task, _| {
            done[task].fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(result, Ok(()));
        assert!(done.iter().all(|n| n.load(Ordering::SeqCst) == 1));
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn subnormals_are_zero_in_every_task_and_back_for_the_caller() {
    let product = || black_box(black_box(SUBNORMAL) * black_box(1.5));
    assert!(product() > 0.0);
    for tasks in [1, 64] {
        let kept = AtomicUsize::new(0);
        let result = pool().run(tasks, &|_, _| {
            kept.fetch_add(usize::from(product() != 0.0), Ordering::SeqCst);
        });
        assert_eq!((result, kept.into_inner()), (Ok(()), 0), "{tasks} tasks");
        assert!(product() > 0.0, "the caller's mode came back");
    }
    let failed = pool().run(1, &|_, _| panic!("on purpose"));
    assert_eq!(failed, Err("on purpose".into()));
    assert!(product() > 0.0, "after a panic too");
}
