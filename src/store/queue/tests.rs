//! The queue by itself: every interleaving under loom, panics and limits without it.
//!
//! The model: `RUSTFLAGS="--cfg loom" cargo test --lib model::`.

#[cfg(loom)]
mod model {
    use loom::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        thread,
    };

    use super::super::*;

    /// Doubles numbers, and fails the model when two threads serve at one time.
    #[derive(Default)]
    struct Doubling {
        is_busy: AtomicBool,
        served: AtomicUsize,
        has_chore: bool,
    }

    impl Work<usize, usize> for Doubling {
        fn serve(&self, batch: Vec<usize>) -> Vec<usize> {
            assert!(!self.is_busy.swap(true, Ordering::AcqRel), "one leader at a time");
            self.served.fetch_add(batch.len(), Ordering::Relaxed);
            let answers = batch.into_iter().map(|number| number * 2).collect();
            self.is_busy.store(false, Ordering::Release);
            answers
        }

        fn has_chore(&self) -> bool {
            self.has_chore
        }

        fn chore(&self) {
            assert!(!self.is_busy.swap(true, Ordering::AcqRel), "the chore is the leader's");
            self.is_busy.store(false, Ordering::Release);
        }
    }

    fn check(limit_rows: usize, has_chore: bool) {
        // Three threads have too many interleavings; the usual faults need two preemptions.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let queue = Arc::new(Queue::new(Weight { rows: limit_rows, bytes: 100 }));
            let work = Arc::new(Doubling { has_chore, ..Doubling::default() });
            let submit = |number: usize| {
                let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
                move || assert_eq!(queue.submit(number, Weight { rows: 1, bytes: 1 }, &*work), Ok(number * 2))
            };
            let others = [thread::spawn(submit(2)), thread::spawn(submit(3))];
            submit(1)();
            for other in others {
                other.join().expect("no panic");
            }
            queue.close();
            assert_eq!(work.served.load(Ordering::Relaxed), 3, "each once");
        });
    }

    #[test]
    fn every_request_is_answered_once_with_its_own_answer() {
        check(10, false);
    }

    #[test]
    fn the_next_leader_takes_over_where_a_transaction_is_full() {
        check(1, false);
    }

    #[test]
    fn followers_are_answered_before_a_chore() {
        check(10, true);
    }

    #[test]
    fn closing_waits_for_what_was_accepted_and_refuses_the_rest() {
        loom::model(|| {
            let queue = Arc::new(Queue::new(Weight { rows: 10, bytes: 100 }));
            let work = Arc::new(Doubling::default());
            let others: Vec<_> = (1..=2)
                .map(|number| {
                    let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
                    thread::spawn(move || queue.submit(number, Weight { rows: 1, bytes: 1 }, &*work).is_ok())
                })
                .collect();
            queue.close();
            let served = work.served.load(Ordering::Relaxed);
            let accepted = others.into_iter().filter_map(|other| other.join().ok()).filter(|ok| *ok).count();
            assert_eq!(served, accepted, "nothing is served after closing returned");
        });
    }
}

#[cfg(not(loom))]
mod real {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::mpsc,
    };

    use super::super::*;

    const ONE: Weight = Weight { rows: 1, bytes: 10 };

    /// Tells each batch, and waits for leave to serve it; panics where it is told to.
    struct Told {
        batches: mpsc::Sender<Vec<u32>>,
        leave: Mutex<mpsc::Receiver<bool>>,
    }

    impl Work<u32, u32> for Told {
        fn serve(&self, batch: Vec<u32>) -> Vec<u32> {
            self.batches.send(batch.clone()).expect("the test listens");
            let goes_well = self.leave.lock().recv().expect("the test answers");
            assert!(goes_well, "a planned panic");
            batch
        }
    }

    impl<T, R> Queue<T, R> {
        fn wait_for(&self, waiting: usize) {
            while self.state.lock().waiting.len() < waiting {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn those_who_wait_are_served_together_up_to_the_limit() {
        let (batches, told) = mpsc::channel();
        let (leave, asked) = mpsc::channel();
        let work = Told { batches, leave: Mutex::new(asked) };
        let queue = Queue::new(Weight { rows: 3, bytes: 100 });
        std::thread::scope(|scope| {
            for number in 0..6 {
                let (queue, work) = (&queue, &work);
                scope.spawn(move || assert_eq!(queue.submit(number, ONE, work), Ok(number)));
                match number {
                    0 => assert_eq!(told.recv().expect("led"), [0]),
                    _ => queue.wait_for(number as usize),
                }
            }
            leave.send(true).expect("asked");
            assert_eq!(told.recv().expect("led"), [1, 2, 3]);
            leave.send(true).expect("asked");
            assert_eq!(told.recv().expect("led"), [4, 5]);
            leave.send(true).expect("asked");
        });
        queue.close();
        let late =
            queue.submit(9, ONE, &Told { batches: mpsc::channel().0, leave: Mutex::new(mpsc::channel().1) });
        assert_eq!(late, Err(Unserved::Closed));
    }

    #[test]
    fn a_request_larger_than_the_limit_is_served_alone() {
        let (batches, told) = mpsc::channel();
        let (leave, asked) = mpsc::channel();
        let work = Told { batches, leave: Mutex::new(asked) };
        let queue = Queue::new(Weight { rows: 3, bytes: 15 });
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (queue, work) = (&queue, &work);
                let weight = Weight { rows: 1, bytes: if number == 1 { 1_000 } else { 10 } };
                scope.spawn(move || assert_eq!(queue.submit(number, weight, work), Ok(number)));
                match number {
                    0 => assert_eq!(told.recv().expect("led"), [0]),
                    _ => queue.wait_for(number as usize),
                }
            }
            leave.send(true).expect("asked");
            assert_eq!(told.recv().expect("led"), [1]);
            leave.send(true).expect("asked");
            assert_eq!(told.recv().expect("led"), [2]);
            leave.send(true).expect("asked");
        });
    }

    #[test]
    fn a_leader_that_panics_strands_nobody() {
        let (batches, told) = mpsc::channel();
        let (leave, asked) = mpsc::channel();
        let work = Told { batches, leave: Mutex::new(asked) };
        let queue = Queue::new(Weight { rows: 2, bytes: 100 });
        std::thread::scope(|scope| {
            let submit = |number: u32| {
                let (queue, work) = (&queue, &work);
                scope.spawn(move || {
                    // The work holds no state that a panic could break.
                    catch_unwind(AssertUnwindSafe(|| queue.submit(number, ONE, work)))
                })
            };
            let first = submit(0);
            assert_eq!(told.recv().expect("led"), [0]);
            let others: Vec<_> = (1..=4)
                .map(|number| {
                    let other = submit(number);
                    queue.wait_for(number as usize);
                    other
                })
                .collect();
            leave.send(true).expect("asked");
            assert_eq!(told.recv().expect("led"), [1, 2]);
            leave.send(false).expect("asked");
            assert_eq!(told.recv().expect("the next one leads"), [3, 4]);
            leave.send(true).expect("asked");
            assert_eq!(first.join().expect("caught").ok(), Some(Ok(0)));
            let mut answers = others.into_iter().map(|other| other.join().expect("caught").ok());
            assert_eq!(answers.next(), Some(None), "the leader's own panic goes on");
            assert_eq!(answers.next(), Some(Some(Err(Unserved::Abandoned))));
            assert_eq!(answers.collect::<Vec<_>>(), [Some(Ok(3)), Some(Ok(4))]);
        });
        queue.close();
    }
}
